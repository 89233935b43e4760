package framework

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"gantry/schema/pods"
)

// PodSignature is what decides where a pod may run. Pods with equal signatures, as those of one template, share it: its fields
// are parsed once, and what filters and scores returned for a node holds for all of them.
type PodSignature struct {
	text       string
	Plugins    *PluginSet // of its profile
	namespace  string
	labels     labels.Set
	controller string // uid of the controller; "": none
	Priority   int32
	Pod        *corev1.Pod // one of its pods; read-only
	fault      error       // the pod can't be parsed and fits no node

	Requests                               Resources
	ScoredCPU, ScoredMemory                int64
	Ports                                  []pods.HostPort
	Tolerations                            []corev1.Toleration
	RequiredNodeAffinity                   nodeaffinity.RequiredNodeAffinity
	PreferredNodeAffinity                  *nodeaffinity.PreferredSchedulingTerms // nil: none
	RequiredAffinity, RequiredAntiAffinity []AffinityTerm                         // required
	PreferredAffinity                      []AffinityTerm                         // preferred; a negative weight repels
	SpreadConstraints                      []SpreadConstraint
	Images                                 []string
	NeverPreempt                           bool
	members                                int // number of pods; at 0 the signature is dropped

	nodeResults        []nodeResult    // by slot; nil: dropped
	nodeScores         []float64       // by slot and row of PluginSet.nodeScores
	nodesDiffer        []bool          // by row of PluginSet.nodeScores: any score was not 0
	PreFilterState     *PreFilterState // nil: dropped
	lastFailure        *Explanation    // holds while the cluster's version is lastFailureVersion
	lastFailureVersion int64
}

// signedFields are the fields of a pod that make up its signature, beside its host ports.
type signedFields struct {
	Profile      string
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

// signatureText is equal for pods that filters and scores treat alike by the plug-ins of a profile.
func signatureText(pod *corev1.Pod, set *PluginSet) string {
	s := &pod.Spec
	t := signedFields{
		Profile: set.SchedulerName, Namespace: pod.Namespace, Labels: pod.Labels, Owner: ownerOf(pod), Priority: PriorityOf(pod), Preemption: s.PreemptionPolicy,
		NodeSelector: s.NodeSelector, Affinity: s.Affinity, Tolerations: s.Tolerations, Spread: s.TopologySpreadConstraints,
		Overhead: s.Overhead, Resources: s.Resources, Resized: resizedRequests(pod), Init: signedContainers(s.InitContainers), Containers: signedContainers(s.Containers), Plugins: set.sign(pod),
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

func newPodSignature(signature string, pod *corev1.Pod, set *PluginSet) *PodSignature {
	sig := &PodSignature{
		text: signature, Plugins: set, namespace: pod.Namespace, labels: pod.Labels, controller: ownerOf(pod), Priority: PriorityOf(pod), Pod: pod,
		Requests: RequestsOf(pod), Ports: pods.HostPorts(&pod.Spec), Tolerations: pod.Spec.Tolerations,
		RequiredNodeAffinity: nodeaffinity.GetRequiredNodeAffinity(pod),
		NeverPreempt:         pod.Spec.PreemptionPolicy != nil && *pod.Spec.PreemptionPolicy == corev1.PreemptNever,
	}
	sig.ScoredCPU, sig.ScoredMemory = scoredRequestsOf(pod)
	for kind, c := range pods.Containers(&pod.Spec) {
		if kind != pods.EphemeralContainer {
			sig.Images = append(sig.Images, c.Image)
		}
	}
	sig.fault = sig.parse(pod)
	return sig
}

// parse reads the parts that can be wrong.
func (sig *PodSignature) parse(pod *corev1.Pod) (err error) {
	if sig.SpreadConstraints, err = spreadConstraintsOf(pod, sig.controller); err != nil {
		return err
	}
	a := pod.Spec.Affinity
	if a == nil {
		return nil
	}
	if a.NodeAffinity != nil && len(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution) > 0 {
		if sig.PreferredNodeAffinity, err = nodeaffinity.NewPreferredSchedulingTerms(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution); err != nil {
			return err
		}
	}
	if a.PodAffinity != nil {
		if sig.RequiredAffinity, err = affinityTermsOf(pod, a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution); err != nil {
			return err
		}
		if sig.PreferredAffinity, err = sig.withPreferredTerms(pod, a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution, 1); err != nil {
			return err
		}
	}
	if a.PodAntiAffinity != nil {
		if sig.RequiredAntiAffinity, err = affinityTermsOf(pod, a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution); err != nil {
			return err
		}
		sig.PreferredAffinity, err = sig.withPreferredTerms(pod, a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution, -1)
	}
	return err
}

// withPreferredTerms returns sig.PreferredAffinity with weighted terms added.
func (sig *PodSignature) withPreferredTerms(pod *corev1.Pod, weighted []corev1.WeightedPodAffinityTerm, sign int64) ([]AffinityTerm, error) {
	all := sig.PreferredAffinity
	for i := range weighted {
		t, err := affinityTermOf(pod, &weighted[i].PodAffinityTerm)
		if err != nil {
			return nil, err
		}
		t.Weight = sign * int64(weighted[i].Weight)
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

func PriorityOf(pod *corev1.Pod) int32 {
	if pod.Spec.Priority != nil {
		return *pod.Spec.Priority
	}
	return 0
}
