package allocation

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"gantry/agents/kubelet/podstate"
	"gantry/schema/pods"
)

// admissionFailure checks what the scheduler checked, for pods that were bound without it or while the node changed. node nil: it is
// not known yet, nothing is checked. Pure.
func admissionFailure(pod *corev1.Pod, others []*corev1.Pod, node *corev1.Node) *podstate.Failure {
	if node == nil {
		return nil
	}
	allocatable := node.Status.Allocatable
	if limit, ok := allocatable[corev1.ResourcePods]; ok && int64(len(others)+1) > limit.Value() {
		return shortOf(corev1.ResourcePods, 1, int64(len(others)), limit.Value())
	}
	if f := insufficientResources(pod, others, node); f != nil {
		return f
	}
	if match, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node); err != nil || !match {
		return podstate.Rejection("NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector")
	}
	if hostPortTaken(pod, others) != "" {
		return podstate.Rejection("NodePorts", "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports")
	}
	return nil
}

// insufficientResources tells which of the node's resources the pod and the others ask too much of.
func insufficientResources(pod *corev1.Pod, others []*corev1.Pod, node *corev1.Node) *podstate.Failure {
	if node == nil {
		return nil
	}
	allocatable := node.Status.Allocatable
	requests := pods.SpecRequests(pod)
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		capacity, known := allocatable[name]
		want := amount(name, requests)
		if !known || want == 0 {
			continue
		}
		var used int64
		for _, p := range others {
			used += amount(name, pods.SpecRequests(p))
		}
		have := amount(name, corev1.ResourceList{name: capacity})
		if used+want > have {
			return shortOf(name, want, used, have)
		}
	}
	return nil
}

func shortOf(name corev1.ResourceName, want, used, have int64) *podstate.Failure {
	return podstate.Rejection("OutOf"+string(name), "Node didn't have enough resource: %s, requested: %d, used: %d, capacity: %d", name, want, used, have)
}

// amount is a resource in bytes, or in thousandths of a cpu.
func amount(name corev1.ResourceName, list corev1.ResourceList) int64 {
	q := list[name]
	if name == corev1.ResourceCPU {
		return milli(q)
	}
	if q.CmpInt64(maxBytes) >= 0 {
		return maxBytes
	}
	return q.Value()
}

// maxBytes is more than any machine has, and little enough to add up over a node's pods.
const maxBytes = int64(1) << 53

// hostPortTaken is a host port that the pod wants and another has: "80/TCP", "" where there is none.
func hostPortTaken(pod *corev1.Pod, others []*corev1.Pod) string {
	wanted := pods.HostPorts(&pod.Spec)
	if len(wanted) == 0 {
		return ""
	}
	for _, o := range others {
		for _, taken := range pods.HostPorts(&o.Spec) {
			if slices.ContainsFunc(wanted, taken.ConflictsWith) {
				return fmt.Sprintf("%d/%s", taken.Port, taken.Protocol)
			}
		}
	}
	return ""
}
