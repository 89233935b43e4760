package podstate

import (
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
)

// finished tells whether the pod has ended: every app has ended for good, or an init container failed for good.
func finished(v View) bool {
	policy := v.Pod.Spec.RestartPolicy
	sandbox := v.Sandbox()
	for _, m := range Members(v.Pod) {
		cs := v.Latest(m.Name)
		switch m.Role {
		case RoleInit:
			current := cs != nil && (sandbox == nil || cs.SandboxID == sandbox.ID)
			if current && cs.State == engine.StateExited && cs.Exit.Code != 0 && policy == corev1.RestartPolicyNever {
				return true
			}
		case RoleApp:
			code, ended := LostExit(v.Pod, m.Name)
			if cs != nil {
				code, ended = cs.Exit.Code, cs.State == engine.StateExited
			}
			if !ended || cs != nil && v.ResizeRestarts[cs.ID] || Restarts(policy, RoleApp, code) {
				return false
			}
		}
	}
	return len(v.Pod.Spec.Containers) > 0
}

// LostCode is the exit code of a container whose end is not known.
const LostCode = 137

// LostExit is the exit code of a container that the API has a status of and that the engine may have lost; lost is false where it has none.
func LostExit(pod *corev1.Pod, name string) (code int, lost bool) {
	s := StatusNamed(pod, name)
	switch {
	case s == nil || s.ContainerID == "":
		return 0, false
	case s.State.Terminated != nil:
		return int(s.State.Terminated.ExitCode), true
	case s.State.Waiting != nil && s.LastTerminationState.Terminated != nil:
		return int(s.LastTerminationState.Terminated.ExitCode), true
	}
	return LostCode, true
}
