package explain

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/admin/snapshot"
	"gantry/schema/pods"
)

// containers adds every container of a pod that is not as wanted.
func (x *explainer) containers(depth int, e *snapshot.Entry) {
	p := e.Object.(*corev1.Pod)
	blocked := false
	for i := range p.Status.InitContainerStatuses {
		s := &p.Status.InitContainerStatuses[i]
		if sidecar := isSidecar(p, s.Name); !blocked && !initDone(s, sidecar) {
			blocked = true
			x.container(depth, e, s, fmt.Sprintf("init container %d of %d, ", i+1, len(p.Spec.InitContainers)))
		}
	}
	for i := range p.Status.ContainerStatuses {
		s := &p.Status.ContainerStatuses[i]
		switch {
		case s.Ready:
		case blocked && s.State.Waiting != nil && s.LastTerminationState.Terminated == nil: // it waits for the init container
		case s.State.Terminated != nil && s.State.Terminated.ExitCode == 0 && pods.IsTerminal(p):
		default:
			x.container(depth, e, s, "container ")
		}
	}
}

func isSidecar(p *corev1.Pod, name string) bool {
	for i := range p.Spec.InitContainers {
		if c := &p.Spec.InitContainers[i]; c.Name == name {
			return pods.IsSidecar(c)
		}
	}
	return false
}

func initDone(s *corev1.ContainerStatus, sidecar bool) bool {
	if sidecar {
		return s.Started != nil && *s.Started
	}
	return s.State.Terminated != nil && s.State.Terminated.ExitCode == 0
}

// container says what a container that is not ready is doing.
func (x *explainer) container(depth int, e *snapshot.Entry, s *corev1.ContainerStatus, kind string) {
	name := kind + s.Name
	switch {
	case s.State.Waiting != nil:
		text := fmt.Sprintf("%s waits: %s", name, s.State.Waiting.Reason)
		if s.State.Waiting.Message != "" {
			text += ": " + firstLine(s.State.Waiting.Message)
		}
		x.add(depth, false, e, "%s", text)
		if help := waitingHelp(s); help != "" {
			x.add(depth+1, false, nil, "%s", help)
		}
	case s.State.Terminated != nil:
		t := s.State.Terminated
		x.add(depth, t.ExitCode == 0, e, "%s ended with exit code %d (%s) %s ago, restarted %d times before", name, t.ExitCode, t.Reason, x.since(t.FinishedAt.Time), s.RestartCount)
	case s.State.Running != nil:
		x.add(depth, false, e, "%s has run for %s and is not ready: %s", name, x.since(s.State.Running.StartedAt.Time), probeText(e.Object.(*corev1.Pod), s))
	default:
		x.add(depth, false, e, "%s: the kubelet has not reported its state", name)
	}
	if l := s.LastTerminationState.Terminated; l != nil {
		text := fmt.Sprintf("it ended %s ago with exit code %d (%s), restarted %d times", x.since(l.FinishedAt.Time), l.ExitCode, l.Reason, s.RestartCount)
		if l.Message != "" {
			text += ": " + firstLine(l.Message)
		}
		x.add(depth+1, false, e, "%s", text)
	}
}

// waitingHelp says what is to be done about a reason for waiting; "": nothing.
func waitingHelp(s *corev1.ContainerStatus) string {
	switch s.State.Waiting.Reason {
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull":
		return fmt.Sprintf("the image %s cannot be had: its name, its registry, or imagePullSecrets", s.Image)
	case "CrashLoopBackOff":
		return "it is started again after a pause that doubles up to 5 minutes: `kubectl logs --previous` has its last output"
	case "CreateContainerConfigError":
		return "a ConfigMap, Secret or key that it names does not exist"
	}
	return ""
}

// probeText says which probe keeps a running container from being ready.
func probeText(p *corev1.Pod, s *corev1.ContainerStatus) string {
	for _, c := range pods.Containers(&p.Spec) {
		switch {
		case c.Name != s.Name:
		case c.StartupProbe != nil && (s.Started == nil || !*s.Started):
			return "its startup probe has not succeeded yet: " + probed(c.StartupProbe)
		case c.ReadinessProbe != nil:
			return "its readiness probe does not succeed: " + probed(c.ReadinessProbe)
		}
	}
	return "the kubelet has not reported it ready yet"
}

// probed is what a probe asks.
func probed(p *corev1.Probe) string {
	switch {
	case p.HTTPGet != nil:
		return fmt.Sprintf("GET %s on port %s", p.HTTPGet.Path, p.HTTPGet.Port.String())
	case p.TCPSocket != nil:
		return "TCP port " + p.TCPSocket.Port.String()
	case p.GRPC != nil:
		return fmt.Sprintf("gRPC port %d", p.GRPC.Port)
	case p.Exec != nil:
		return fmt.Sprintf("exec %q", p.Exec.Command)
	}
	return "it asks nothing"
}
