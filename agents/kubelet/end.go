package kubelet

import (
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
)

// rejectedStatus is the status of a pod that the node did not take: why, and nothing of its containers, which would be shown
// instead.
func rejectedStatus(v view, x facts) corev1.PodStatus {
	s := corev1.PodStatus{
		Phase: corev1.PodFailed, Reason: v.failure.reason, Message: "Pod was rejected: " + v.failure.message,
		QOSClass: qosClass(v.pod), StartTime: startTime(v.pod, x), ObservedGeneration: v.pod.Generation,
	}
	if isTerminal(v.pod) { // an end is never left, nor is its reason changed
		s.Phase, s.Reason, s.Message = v.pod.Status.Phase, v.pod.Status.Reason, v.pod.Status.Message
	}
	return mergeStatus(s, v.pod.Status)
}

// endContainers makes ends of the statuses of containers that wait in a pod that has ended: nothing will start them. Where
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

// lostState is the end of a container of which nobody knows how it ended.
func lostState() *corev1.ContainerStateTerminated {
	return &corev1.ContainerStateTerminated{ExitCode: lostCode, Reason: reasonStatusLost, Message: messageStatusLost}
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
	if isSidecar(&pod.Spec.InitContainers[i]) {
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

// finished tells whether the pod has come to its end: every app has ended for good, or an init container failed for good.
func finished(v view) bool {
	policy := v.pod.Spec.RestartPolicy
	box := v.Sandbox()
	for _, m := range members(v.pod) {
		f := v.Latest(m.Name)
		switch m.role {
		case roleInit:
			current := f != nil && (box == nil || f.SandboxID == box.ID)
			if current && f.State == engine.StateExited && f.Exit.Code != 0 && policy == corev1.RestartPolicyNever {
				return true
			}
		case roleApp:
			code, ended := lostExit(v.pod, m.Name)
			if f != nil {
				code, ended = f.Exit.Code, f.State == engine.StateExited
			}
			if !ended || f != nil && v.again[f.ID] || restarts(policy, roleApp, code) {
				return false
			}
		}
	}
	return len(v.pod.Spec.Containers) > 0
}

// lostCode is the exit code of a container that vanished: nobody knows how it ended.
const lostCode = 137

// lostExit tells whether the API knows a container that the engine may have lost, and how it ended.
func lostExit(pod *corev1.Pod, name string) (code int, lost bool) {
	s := statusNamed(pod, name)
	switch {
	case s == nil || s.ContainerID == "":
		return 0, false
	case s.State.Terminated != nil:
		return int(s.State.Terminated.ExitCode), true
	case s.State.Waiting != nil && s.LastTerminationState.Terminated != nil:
		return int(s.LastTerminationState.Terminated.ExitCode), true
	}
	return lostCode, true
}
