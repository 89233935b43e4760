package kubelet

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"gantry/schema/pods"
)

// allocation is what the kubelet granted a pod's containers, by name. A resize changes the spec; the allocation follows once
// the node has the resources (KEP-1287). It is kept in the pod's status.
type allocation map[string]corev1.ResourceRequirements

// allocationOf is what the pod's status says was granted; a container that it does not know gets what its spec asks for.
func allocationOf(pod *corev1.Pod) allocation {
	a := allocation{}
	for _, m := range members(pod) {
		r := m.Resources
		if s := statusNamed(pod, m.Name); s != nil && s.Resources != nil {
			r.Requests, r.Limits = s.Resources.Requests, s.Resources.Limits
			if s.AllocatedResources != nil {
				r.Requests = s.AllocatedResources
			}
		}
		a[m.Name] = r
	}
	return a
}

// specAllocation is what the pod's spec asks for.
func specAllocation(pod *corev1.Pod) allocation {
	a := allocation{}
	for _, m := range members(pod) {
		a[m.Name] = m.Resources
	}
	return a
}

// apply is the pod with what was granted in place of what its spec asks for: the pod itself where that is the same.
func (a allocation) apply(pod *corev1.Pod) *corev1.Pod {
	if equality.Semantic.DeepEqual(a, specAllocation(pod)) {
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

// pendingResize is why the spec's resources are not granted: Deferred or Infeasible; the zero value: they are.
type pendingResize struct{ reason, message string }

// pendingOf is what the pod's status says.
func pendingOf(pod *corev1.Pod) pendingResize {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodResizePending {
			return pendingResize{c.Reason, c.Message}
		}
	}
	return pendingResize{}
}

// infeasible tells why a node can never give a pod what it asks for. Pure.
func infeasible(pod *corev1.Pod, node *corev1.Node) pendingResize {
	requests := pods.SpecRequests(pod)
	for _, name := range []corev1.ResourceName{corev1.ResourceMemory, corev1.ResourceCPU} {
		capacity, known := node.Status.Allocatable[name]
		want, have := amount(name, requests), amount(name, corev1.ResourceList{name: capacity})
		if known && want > have {
			return pendingResize{corev1.PodReasonInfeasible, fmt.Sprintf("Node didn't have enough capacity: %s, requested: %d, capacity: %d", name, want, have)}
		}
	}
	return pendingResize{}
}
