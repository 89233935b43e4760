// Package allocation is what the pods of a node hold of its resources: what was granted to each (Allocation), the shares that running pods
// reserve (Reservations), and whether another fits. It follows upstream's package of that name.
package allocation

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"gantry/agents/kubelet/podstate"
	"gantry/schema/pods"
)

// Allocation is what the kubelet granted a pod's containers, by name. A resize changes the spec; the allocation follows once
// the node has the resources (KEP-1287). It is kept in the pod's status.
type Allocation map[string]corev1.ResourceRequirements

// Of is what the pod's status says was granted; a container that it does not know gets what its spec asks for.
func Of(pod *corev1.Pod) Allocation {
	a := Allocation{}
	for _, m := range podstate.Members(pod) {
		r := m.Resources
		if s := podstate.StatusNamed(pod, m.Name); s != nil && s.Resources != nil {
			r.Requests, r.Limits = s.Resources.Requests, s.Resources.Limits
			if s.AllocatedResources != nil {
				r.Requests = s.AllocatedResources
			}
		}
		a[m.Name] = r
	}
	return a
}

// OfSpec is what the pod's spec asks for.
func OfSpec(pod *corev1.Pod) Allocation {
	a := Allocation{}
	for _, m := range podstate.Members(pod) {
		a[m.Name] = m.Resources
	}
	return a
}

// Apply is the pod with what was granted in place of what its spec asks for: the pod itself where that is the same.
func (a Allocation) Apply(pod *corev1.Pod) *corev1.Pod {
	if equality.Semantic.DeepEqual(a, OfSpec(pod)) {
		return pod
	}
	pod = pod.DeepCopy()
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if r, ok := a[list[i].Name]; ok {
				list[i].Resources = r
			}
		}
	}
	return pod
}

// PendingResize is why the spec's resources are not granted: Deferred or Infeasible; the zero value: they are.
type PendingResize struct{ Reason, Message string }

// PendingOf is what the pod's status says.
func PendingOf(pod *corev1.Pod) PendingResize {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodResizePending {
			return PendingResize{c.Reason, c.Message}
		}
	}
	return PendingResize{}
}

// Infeasible tells why a node can never give a pod what it asks for. Pure.
func Infeasible(pod *corev1.Pod, node *corev1.Node) PendingResize {
	requests := pods.SpecRequests(pod)
	for _, name := range []corev1.ResourceName{corev1.ResourceMemory, corev1.ResourceCPU} {
		capacity, known := node.Status.Allocatable[name]
		want, have := amount(name, requests), amount(name, corev1.ResourceList{name: capacity})
		if known && want > have {
			return PendingResize{corev1.PodReasonInfeasible, fmt.Sprintf("Node didn't have enough capacity: %s, requested: %d, capacity: %d", name, want, have)}
		}
	}
	return PendingResize{}
}
