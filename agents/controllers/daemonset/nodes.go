package daemonset

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"gantry/schema/pods"
)

// eligibility says on which nodes the pods of a template run.
type eligibility struct {
	nodeName    string // of the template; "": any
	required    nodeaffinity.RequiredNodeAffinity
	tolerations []corev1.Toleration
}

func newEligibility(t *corev1.PodTemplateSpec) eligibility {
	spec := t.Spec
	addTolerations(&spec)
	return eligibility{spec.NodeName, nodeaffinity.GetRequiredNodeAffinity(&corev1.Pod{Spec: spec}), spec.Tolerations}
}

// on returns whether a node is to get a pod, and whether a pod that is there may stay: one that is there need not tolerate NoSchedule.
func (e eligibility) on(node *corev1.Node) (run, stay bool) {
	if e.nodeName != "" && e.nodeName != node.Name {
		return false, false
	}
	if match, _ := e.required.Match(node); !match { // an affinity that cannot be read matches nothing
		return false, false
	}
	run, stay = true, true
	for i := range node.Spec.Taints {
		taint := &node.Spec.Taints[i]
		if taint.Effect == corev1.TaintEffectPreferNoSchedule || pods.Tolerates(e.tolerations, taint) {
			continue
		}
		run = false
		stay = stay && taint.Effect != corev1.TaintEffectNoExecute
	}
	return run, stay
}

// addTolerations adds those that the pods of every daemon set have: they stay on a node in trouble.
func addTolerations(spec *corev1.PodSpec) {
	taints := []corev1.Taint{
		{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoExecute},
		{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoExecute},
		{Key: corev1.TaintNodeDiskPressure, Effect: corev1.TaintEffectNoSchedule},
		{Key: corev1.TaintNodeMemoryPressure, Effect: corev1.TaintEffectNoSchedule},
		{Key: corev1.TaintNodePIDPressure, Effect: corev1.TaintEffectNoSchedule},
		{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule},
	}
	if spec.HostNetwork {
		taints = append(taints, corev1.Taint{Key: corev1.TaintNodeNetworkUnavailable, Effect: corev1.TaintEffectNoSchedule})
	}
	tolerations := spec.Tolerations[:len(spec.Tolerations):len(spec.Tolerations)]
	for _, taint := range taints {
		tolerations = addToleration(tolerations, corev1.Toleration{Key: taint.Key, Operator: corev1.TolerationOpExists, Effect: taint.Effect})
	}
	spec.Tolerations = tolerations
}

// addToleration adds a toleration, or replaces one that differs only in its seconds.
func addToleration(tolerations []corev1.Toleration, t corev1.Toleration) []corev1.Toleration {
	out := make([]corev1.Toleration, 0, len(tolerations)+1)
	there := false
	for _, was := range tolerations {
		if was.MatchToleration(&t) {
			if equality.Semantic.DeepEqual(was, t) {
				return tolerations
			}
			was, there = t, true
		}
		out = append(out, was)
	}
	if !there {
		out = append(out, t)
	}
	return out
}

// setNode gives a pod the node affinity that only one node matches. What the template requires of nodes is met by that one already.
func setNode(spec *corev1.PodSpec, node string) {
	if spec.Affinity == nil {
		spec.Affinity = &corev1.Affinity{}
	}
	if spec.Affinity.NodeAffinity == nil {
		spec.Affinity.NodeAffinity = &corev1.NodeAffinity{}
	}
	spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchFields: []corev1.NodeSelectorRequirement{{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}},
	}}}
}

// nodeOf is the node that a pod is on or is to be bound to; "": its affinity names none.
func nodeOf(p *corev1.Pod) string {
	if p.Spec.NodeName != "" {
		return p.Spec.NodeName
	}
	a := p.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return ""
	}
	for _, term := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		for _, f := range term.MatchFields {
			if f.Key == metav1.ObjectNameField && f.Operator == corev1.NodeSelectorOpIn && len(f.Values) == 1 {
				return f.Values[0]
			}
		}
	}
	return ""
}

// sameNode returns whether nothing differs of a node by which daemon sets decide.
func sameNode(a, b *corev1.Node) bool {
	return equality.Semantic.DeepEqual(a.Labels, b.Labels) && equality.Semantic.DeepEqual(a.Spec.Taints, b.Spec.Taints)
}

// generationLabel is the label of a pod with the number of changes of the template; older versions knew pods by it.
const generationLabel = "pod-template-generation"

// isUpdated returns whether a pod was made of the current template.
func isUpdated(ds *appsv1.DaemonSet, p *corev1.Pod, hash string) bool {
	generation := ds.Annotations[appsv1.DeprecatedTemplateGeneration]
	return p.Labels[hashLabel] == hash || generation != "" && p.Labels[generationLabel] == generation
}
