package kubelet

import (
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
)

// finished tells whether the pod has ended: every app has ended for good, or an init container failed for good.
func finished(v view) bool {
	policy := v.pod.Spec.RestartPolicy
	sandbox := v.Sandbox()
	for _, m := range members(v.pod) {
		cs := v.Latest(m.Name)
		switch m.role {
		case roleInit:
			current := cs != nil && (sandbox == nil || cs.SandboxID == sandbox.ID)
			if current && cs.State == engine.StateExited && cs.Exit.Code != 0 && policy == corev1.RestartPolicyNever {
				return true
			}
		case roleApp:
			code, ended := lostExit(v.pod, m.Name)
			if cs != nil {
				code, ended = cs.Exit.Code, cs.State == engine.StateExited
			}
			if !ended || cs != nil && v.resizeRestarts[cs.ID] || restarts(policy, roleApp, code) {
				return false
			}
		}
	}
	return len(v.pod.Spec.Containers) > 0
}

// lostCode is the exit code of a container whose end is not known.
const lostCode = 137

// lostExit is the exit code of a container that the API has a status of and that the engine may have lost; lost is false where it has none.
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
