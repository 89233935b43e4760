package podstatus

import (
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/podstate"
	"gantry/schema/pods"
)

// rejectedStatus is the status of a pod that was not admitted: why, and no container statuses, which clients would show instead.
func rejectedStatus(v podstate.View, x Facts) corev1.PodStatus {
	s := corev1.PodStatus{
		Phase: corev1.PodFailed, Reason: v.Failure.Reason, Message: "Pod was rejected: " + v.Failure.Message,
		QOSClass: podstate.QOSClass(v.Pod), StartTime: startTime(v.Pod, x), ObservedGeneration: v.Pod.Generation,
	}
	if pods.IsTerminal(v.Pod) { // a terminal phase never changes, nor does its reason
		s.Phase, s.Reason, s.Message = v.Pod.Status.Phase, v.Pod.Status.Reason, v.Pod.Status.Message
	}
	return Merge(s, v.Pod.Status)
}

// endContainers sets the statuses of containers that wait in a pod that has ended to terminated: nothing will start them. Where
// the pod was never initialized its apps, and the init containers that were not reached, stay as they are.
func endContainers(pod *corev1.Pod, s *corev1.PodStatus) {
	end := func(list []corev1.ContainerStatus) {
		for i := range list {
			if list[i].State.Terminated == nil {
				list[i].State = corev1.ContainerState{Terminated: lostState()}
			}
		}
	}
	if wasInitialized(pod, s) {
		end(s.ContainerStatuses)
	}
	end(reachedInit(s.InitContainerStatuses))
}

// lostState is the state of a container whose end is not known.
func lostState() *corev1.ContainerStateTerminated {
	return &corev1.ContainerStateTerminated{ExitCode: podstate.LostCode, Reason: reasonStatusLost, Message: messageStatusLost}
}

// wasInitialized tells whether the pod's apps have begun, or could have.
func wasInitialized(pod *corev1.Pod, s *corev1.PodStatus) bool {
	if len(pod.Spec.InitContainers) == 0 {
		return true
	}
	for _, c := range s.ContainerStatuses {
		if begun(c) {
			return true
		}
	}
	i := len(s.InitContainerStatuses) - 1
	last := s.InitContainerStatuses[i]
	if pods.IsSidecar(&pod.Spec.InitContainers[i]) {
		return last.State.Running != nil && *last.Started
	}
	for _, state := range []corev1.ContainerState{last.State, last.LastTerminationState} {
		if t := state.Terminated; t != nil && t.ExitCode == 0 {
			return true
		}
	}
	return false
}

// reachedInit are the init containers up to the last that has begun, at least the first.
func reachedInit(list []corev1.ContainerStatus) []corev1.ContainerStatus {
	for i := len(list) - 1; i >= 0; i-- {
		if begun(list[i]) {
			return list[:i+1]
		}
	}
	return list[:min(len(list), 1)]
}

// begun tells whether a container has ever run.
func begun(c corev1.ContainerStatus) bool {
	return c.State.Waiting == nil || c.LastTerminationState.Terminated != nil
}
