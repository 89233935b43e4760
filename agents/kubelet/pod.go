package kubelet

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
	"gantry/schema/pods"
)

// role is what part a container plays in its pod.
type role int

const (
	roleInit    role = iota // runs to its end before what follows
	roleSidecar             // an init container with restartPolicy Always: runs beside what follows
	roleApp
)

// member is a container of a pod with its role.
type member struct {
	*corev1.Container
	role role
}

// members are the pod's containers in the order they start.
func members(pod *corev1.Pod) []member {
	var all []member
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		if pods.IsSidecar(c) {
			all = append(all, member{c, roleSidecar})
		} else {
			all = append(all, member{c, roleInit})
		}
	}
	for i := range pod.Spec.Containers {
		all = append(all, member{&pod.Spec.Containers[i], roleApp})
	}
	return all
}

// memberNamed finds a container by its name; ok is false where there is none.
func memberNamed(pod *corev1.Pod, name string) (m member, ok bool) {
	for _, m := range members(pod) {
		if m.Name == name {
			return m, true
		}
	}
	return member{}, false
}

// restarts tells whether a container of that role is started again after it ended with code.
func restarts(policy corev1.RestartPolicy, r role, code int) bool {
	switch {
	case r == roleSidecar:
		return true
	case r == roleInit:
		return code != 0 && policy != corev1.RestartPolicyNever
	case policy == corev1.RestartPolicyNever:
		return false
	case policy == corev1.RestartPolicyOnFailure:
		return code != 0
	}
	return true
}

func refOf(pod *corev1.Pod) engine.PodRef {
	return engine.PodRef{Namespace: pod.Namespace, Name: pod.Name, UID: string(pod.UID)}
}

// leaves tells whether the API says that the pod is to end, or has.
func leaves(pod *corev1.Pod) bool { return pod.DeletionTimestamp != nil || pods.IsTerminal(pod) }

// specGrace is how many seconds the pod's containers get to end, by its spec.
func specGrace(pod *corev1.Pod) int64 {
	if pod.Spec.TerminationGracePeriodSeconds == nil {
		return corev1.DefaultTerminationGracePeriodSeconds
	}
	return *pod.Spec.TerminationGracePeriodSeconds
}

// stopDeadline is how long the pod's containers may take to end, from now: what is left of the deletion's grace period,
// else the spec's. Never below zero.
func stopDeadline(pod *corev1.Pod, now time.Time) time.Duration {
	if pod.DeletionTimestamp != nil {
		return max(pod.DeletionTimestamp.Sub(now), 0)
	}
	return time.Duration(specGrace(pod)) * time.Second
}

// longName is "name_namespace(uid)".
func longName(pod *corev1.Pod) string {
	return fmt.Sprintf("%s_%s(%s)", pod.Name, pod.Namespace, pod.UID)
}

// statusNamed is what the API knows of a container, nil where that is nothing.
func statusNamed(pod *corev1.Pod, name string) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}

// qosClass is the pod's quality of service: Guaranteed when every container's cpu and memory limits are set and equal its
// requests, BestEffort when there are no requests and limits of these, else Burstable.
func qosClass(pod *corev1.Pod) corev1.PodQOSClass {
	guaranteed, any := true, false
	for _, m := range members(pod) {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			request, limit := m.Resources.Requests[name], m.Resources.Limits[name]
			any = any || !request.IsZero() || !limit.IsZero()
			if limit.IsZero() || (!request.IsZero() && request.Cmp(limit) != 0) {
				guaranteed = false
			}
		}
	}
	switch {
	case !any:
		return corev1.PodQOSBestEffort
	case guaranteed:
		return corev1.PodQOSGuaranteed
	}
	return corev1.PodQOSBurstable
}
