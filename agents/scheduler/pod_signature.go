package scheduler

import (
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"gantry/schema/pods"
)

// podSignature is what decides where a pod may run. Pods with equal signatures, as those of one template, share it: its fields
// are parsed once, and what filters and scores returned for a node holds for all of them.
type podSignature struct {
	text       string
	namespace  string
	labels     labels.Set
	controller string // uid of the controller; "": none
	priority   int32
	pod        *corev1.Pod // one of its pods; read-only
	fault      error       // the pod can't be parsed and fits no node

	requests                               resources
	scoredCPU, scoredMemory                int64
	ports                                  []pods.HostPort
	tolerations                            []corev1.Toleration
	requiredNodeAffinity                   nodeaffinity.RequiredNodeAffinity
	preferredNodeAffinity                  *nodeaffinity.PreferredSchedulingTerms // nil: none
	requiredAffinity, requiredAntiAffinity []affinityTerm                         // required
	preferredAffinity                      []affinityTerm                         // preferred; a negative weight repels
	spreadConstraints                      []spreadConstraint
	images                                 []string
	neverPreempt                           bool
	members                                int // number of pods; at 0 the signature is dropped

	nodeResults        []nodeResult    // by slot; nil: dropped
	nodeScores         []float64       // by slot and row of pluginSet.nodeScores
	nodesDiffer        []bool          // by row of pluginSet.nodeScores: any score was not 0
	preFilterState     *preFilterState // nil: dropped
	lastFailure        *explanation    // holds while the cluster's version is lastFailureVersion
	lastFailureVersion int64
}

// signedFields are the fields of a pod that make up its signature, beside its host ports.
type signedFields struct {
	Namespace    string
	Labels       map[string]string                 `json:",omitempty"`
	Owner        string                            `json:",omitempty"`
	Priority     int32                             `json:",omitempty"`
	Preemption   *corev1.PreemptionPolicy          `json:",omitempty"`
	NodeSelector map[string]string                 `json:",omitempty"`
	Affinity     *corev1.Affinity                  `json:",omitempty"`
	Tolerations  []corev1.Toleration               `json:",omitempty"`
	Spread       []corev1.TopologySpreadConstraint `json:",omitempty"`
	Overhead     corev1.ResourceList               `json:",omitempty"`
	Resources    *corev1.ResourceRequirements      `json:",omitempty"`
	Resized      corev1.ResourceList               `json:",omitempty"` // see resizedRequests
	Init         []signedContainer                 `json:",omitempty"`
	Containers   []signedContainer
	Plugins      map[string]any `json:",omitempty"`
}

type signedContainer struct {
	Image    string
	Requests corev1.ResourceList            `json:",omitempty"`
	Restart  *corev1.ContainerRestartPolicy `json:",omitempty"`
}

// signatureText is equal for pods that filters and scores treat alike. plugins is what plug-ins sign.
func signatureText(pod *corev1.Pod, plugins map[string]any) string {
	s := &pod.Spec
	t := signedFields{
		Namespace: pod.Namespace, Labels: pod.Labels, Owner: ownerOf(pod), Priority: priorityOf(pod), Preemption: s.PreemptionPolicy,
		NodeSelector: s.NodeSelector, Affinity: s.Affinity, Tolerations: s.Tolerations, Spread: s.TopologySpreadConstraints,
		Overhead: s.Overhead, Resources: s.Resources, Resized: resizedRequests(pod), Init: signedContainers(s.InitContainers), Containers: signedContainers(s.Containers), Plugins: plugins,
	}
	text, err := json.Marshal(t)
	if err != nil { // every field has a JSON form
		panic(err)
	}
	return string(text) + fmt.Sprint(pods.HostPorts(&pod.Spec))
}

func signedContainers(containers []corev1.Container) []signedContainer {
	all := make([]signedContainer, len(containers))
	for i := range containers {
		c := &containers[i]
		all[i] = signedContainer{Image: c.Image, Requests: c.Resources.Requests, Restart: c.RestartPolicy}
	}
	return all
}

// dependsOnOtherPods returns whether a filter of sig counts pods on other nodes.
func (sig *podSignature) dependsOnOtherPods() bool {
	return len(sig.requiredAffinity)+len(sig.requiredAntiAffinity) > 0 || slices.ContainsFunc(sig.spreadConstraints, func(t spreadConstraint) bool { return t.hard })
}

func newPodSignature(signature string, pod *corev1.Pod) *podSignature {
	sig := &podSignature{
		text: signature, namespace: pod.Namespace, labels: pod.Labels, controller: ownerOf(pod), priority: priorityOf(pod), pod: pod,
		requests: requestsOf(pod), ports: pods.HostPorts(&pod.Spec), tolerations: pod.Spec.Tolerations,
		requiredNodeAffinity: nodeaffinity.GetRequiredNodeAffinity(pod),
		neverPreempt:         pod.Spec.PreemptionPolicy != nil && *pod.Spec.PreemptionPolicy == corev1.PreemptNever,
	}
	sig.scoredCPU, sig.scoredMemory = scoredRequestsOf(pod)
	for kind, c := range pods.Containers(&pod.Spec) {
		if kind != pods.EphemeralContainer {
			sig.images = append(sig.images, c.Image)
		}
	}
	sig.fault = sig.parse(pod)
	return sig
}

// parse reads the parts that can be wrong.
func (sig *podSignature) parse(pod *corev1.Pod) (err error) {
	if sig.spreadConstraints, err = spreadConstraintsOf(pod, sig.controller); err != nil {
		return err
	}
	a := pod.Spec.Affinity
	if a == nil {
		return nil
	}
	if a.NodeAffinity != nil && len(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution) > 0 {
		if sig.preferredNodeAffinity, err = nodeaffinity.NewPreferredSchedulingTerms(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution); err != nil {
			return err
		}
	}
	if a.PodAffinity != nil {
		if sig.requiredAffinity, err = affinityTermsOf(pod, a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution); err != nil {
			return err
		}
		if sig.preferredAffinity, err = sig.withPreferredTerms(pod, a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution, 1); err != nil {
			return err
		}
	}
	if a.PodAntiAffinity != nil {
		if sig.requiredAntiAffinity, err = affinityTermsOf(pod, a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution); err != nil {
			return err
		}
		sig.preferredAffinity, err = sig.withPreferredTerms(pod, a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution, -1)
	}
	return err
}

// withPreferredTerms returns sig.preferredAffinity with weighted terms added.
func (sig *podSignature) withPreferredTerms(pod *corev1.Pod, weighted []corev1.WeightedPodAffinityTerm, sign int64) ([]affinityTerm, error) {
	all := sig.preferredAffinity
	for i := range weighted {
		t, err := affinityTermOf(pod, &weighted[i].PodAffinityTerm)
		if err != nil {
			return nil, err
		}
		t.weight = sign * int64(weighted[i].Weight)
		all = append(all, t)
	}
	return all, nil
}

func ownerOf(pod *corev1.Pod) string {
	if o := metav1.GetControllerOfNoCopy(pod); o != nil {
		return string(o.UID)
	}
	return ""
}

func priorityOf(pod *corev1.Pod) int32 {
	if pod.Spec.Priority != nil {
		return *pod.Spec.Priority
	}
	return 0
}
