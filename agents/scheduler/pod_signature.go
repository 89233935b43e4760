package scheduler

import (
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// class is what pods of one template have in common: all that decides where a pod may run. Pods of a class share its
// parsed form and what was found out about each node.
type class struct {
	signature string
	namespace string
	labels    labels.Set
	owner     string // uid of the controller; "": none
	priority  int32
	pod       *corev1.Pod // one of the class's; read-only
	fault     error       // what can't be understood in the pod

	requests             resources
	weightCPU, weightMem int64
	ports                []hostPort
	tolerations          []corev1.Toleration
	required             nodeaffinity.RequiredNodeAffinity
	preferred            *nodeaffinity.PreferredSchedulingTerms // nil: none
	affinity, anti       []term                                 // required
	likes                []term                                 // preferred; a negative weight repels
	spread               []constraint
	images               []string
	neverPreempt         bool
	pods                 int // of the class, known; at 0 it is forgotten

	verdicts []verdict    // while pods are pending
	cycle    *cycle       // while pods are pending
	stuck    *explanation // of the last failure, true while the world's version is stuckAt
	stuckAt  int64
}

// hostPort is one port of a node. An empty ip is every address.
type hostPort struct {
	ip       string
	protocol corev1.Protocol
	port     int32
}

// clash tells whether two pods can't have both ports on one node.
func (p hostPort) clash(q hostPort) bool {
	return p.port == q.port && p.protocol == q.protocol && (p.ip == q.ip || p.ip == "" || q.ip == "")
}

// template is what makes up a signature.
type template struct {
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
	Init         []templateContainer               `json:",omitempty"`
	Containers   []templateContainer
}

type templateContainer struct {
	Image    string
	Requests corev1.ResourceList            `json:",omitempty"`
	Restart  *corev1.ContainerRestartPolicy `json:",omitempty"`
}

// signatureOf is equal for pods of one class.
func signatureOf(pod *corev1.Pod) string {
	s := &pod.Spec
	t := template{
		Namespace: pod.Namespace, Labels: pod.Labels, Owner: ownerOf(pod), Priority: priorityOf(pod), Preemption: s.PreemptionPolicy,
		NodeSelector: s.NodeSelector, Affinity: s.Affinity, Tolerations: s.Tolerations, Spread: s.TopologySpreadConstraints,
		Overhead: s.Overhead, Resources: s.Resources, Resized: resizedRequests(pod), Init: templateOf(s.InitContainers), Containers: templateOf(s.Containers),
	}
	text, err := json.Marshal(t)
	if err != nil { // a type of ours that has no JSON: can't be
		panic(err)
	}
	return string(text) + fmt.Sprint(portsOf(pod))
}

func templateOf(containers []corev1.Container) []templateContainer {
	all := make([]templateContainer, len(containers))
	for i := range containers {
		c := &containers[i]
		all[i] = templateContainer{Image: c.Image, Requests: c.Resources.Requests, Restart: c.RestartPolicy}
	}
	return all
}

// looksFar tells whether pods elsewhere decide where a pod of c may run.
func (c *class) looksFar() bool {
	return len(c.affinity)+len(c.anti) > 0 || slices.ContainsFunc(c.spread, func(t constraint) bool { return t.hard })
}

func newClass(signature string, pod *corev1.Pod) *class {
	c := &class{
		signature: signature, namespace: pod.Namespace, labels: pod.Labels, owner: ownerOf(pod), priority: priorityOf(pod), pod: pod,
		requests: requestsOf(pod), ports: portsOf(pod), tolerations: pod.Spec.Tolerations,
		required:     nodeaffinity.GetRequiredNodeAffinity(pod),
		neverPreempt: pod.Spec.PreemptionPolicy != nil && *pod.Spec.PreemptionPolicy == corev1.PreemptNever,
	}
	c.weightCPU, c.weightMem = weightOf(pod)
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			c.images = append(c.images, list[i].Image)
		}
	}
	c.fault = c.parse(pod)
	return c
}

// parse reads the parts that can be wrong.
func (c *class) parse(pod *corev1.Pod) (err error) {
	if c.spread, err = constraintsOf(pod, c.owner); err != nil {
		return err
	}
	a := pod.Spec.Affinity
	if a == nil {
		return nil
	}
	if a.NodeAffinity != nil && len(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution) > 0 {
		if c.preferred, err = nodeaffinity.NewPreferredSchedulingTerms(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution); err != nil {
			return err
		}
	}
	if a.PodAffinity != nil {
		if c.affinity, err = termsOf(pod, a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution); err != nil {
			return err
		}
		if c.likes, err = c.prefers(pod, a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution, 1); err != nil {
			return err
		}
	}
	if a.PodAntiAffinity != nil {
		if c.anti, err = termsOf(pod, a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution); err != nil {
			return err
		}
		c.likes, err = c.prefers(pod, a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution, -1)
	}
	return err
}

// prefers are c.likes with weighted terms added.
func (c *class) prefers(pod *corev1.Pod, weighted []corev1.WeightedPodAffinityTerm, sign int64) ([]term, error) {
	all := c.likes
	for i := range weighted {
		t, err := termOf(pod, &weighted[i].PodAffinityTerm)
		if err != nil {
			return nil, err
		}
		t.weight = sign * int64(weighted[i].Weight)
		all = append(all, t)
	}
	return all, nil
}

func portsOf(pod *corev1.Pod) []hostPort {
	var all []hostPort
	add := func(containers []corev1.Container, sidecarsOnly bool) {
		for i := range containers {
			c := &containers[i]
			if sidecarsOnly && (c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways) {
				continue
			}
			for _, p := range c.Ports {
				if p.HostPort > 0 {
					all = append(all, hostPort{anyAddress(p.HostIP), protocolOf(p.Protocol), p.HostPort})
				}
			}
		}
	}
	add(pod.Spec.InitContainers, true)
	add(pod.Spec.Containers, false)
	return all
}

func anyAddress(ip string) string {
	if slices.Contains([]string{"0.0.0.0", "::"}, ip) {
		return ""
	}
	return ip
}

func protocolOf(p corev1.Protocol) corev1.Protocol {
	if p == "" {
		return corev1.ProtocolTCP
	}
	return p
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
