package core

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"gantry/schema/pods"
)

// podSummary is what the row of a pod in a table shows.
type podSummary struct {
	status       string
	ready, total int
	restarts     podRestarts
}

// nodeUnreachable is the status reason of a pod whose node does not report any more.
const nodeUnreachable = "NodeLost"

// summarize returns the status of a pod as one word, as kubectl get shows it, by these rules in order:
//   - a pod being deleted is Terminating, on a lost node Unknown, unless it has ended;
//   - once initialized, the reason of the first container in the spec's order that waits or has ended, but Completed only when no
//     other container runs or failed;
//   - before that, the state of the first init container that is not done: Init:1/3, Init:Error;
//   - a scheduling gate, the status's reason, the phase.
func summarize(pod *corev1.Pod) podSummary {
	s := podSummary{status: string(pod.Status.Phase), total: len(pod.Spec.Containers)}
	if pod.Status.Reason != "" {
		s.status = pod.Status.Reason
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonSchedulingGated {
			s.status = corev1.PodReasonSchedulingGated
		}
	}
	sidecars := sidecarNames(pod)
	s.total += len(sidecars)
	initializing, sidecarRestarts := s.initContainers(pod, sidecars)
	if !initializing || pods.IsConditionTrue(pod, corev1.PodInitialized) {
		s.restarts = sidecarRestarts
		s.containers(pod)
	}
	switch {
	case pod.DeletionTimestamp == nil:
	case pod.Status.Reason == nodeUnreachable:
		s.status = "Unknown"
	case !pods.IsTerminal(pod):
		s.status = "Terminating"
	}
	return s
}

// sidecarNames are the names of the sidecars.
func sidecarNames(pod *corev1.Pod) map[string]bool {
	names := map[string]bool{}
	for i := range pod.Spec.InitContainers {
		if c := &pod.Spec.InitContainers[i]; pods.IsSidecar(c) {
			names[c.Name] = true
		}
	}
	return names
}

// initContainers reads the init containers up to the first that is not done.
func (s *podSummary) initContainers(pod *corev1.Pod, sidecars map[string]bool) (initializing bool, ofSidecars podRestarts) {
	for i := range pod.Status.InitContainerStatuses {
		c := &pod.Status.InitContainerStatuses[i]
		s.restarts.add(c)
		if sidecars[c.Name] {
			ofSidecars.add(c)
		}
		ended, waiting := c.State.Terminated, c.State.Waiting
		switch {
		case ended != nil && ended.ExitCode == 0:
			continue
		case sidecars[c.Name] && c.Started != nil && *c.Started:
			if c.Ready {
				s.ready++
			}
			continue
		case ended != nil:
			s.status = "Init:" + endReason(ended)
		case waiting != nil && waiting.Reason != "" && waiting.Reason != "PodInitializing":
			s.status = "Init:" + waiting.Reason
		default:
			s.status = fmt.Sprintf("Init:%d/%d", i, len(pod.Spec.InitContainers))
		}
		return true, ofSidecars
	}
	return false, ofSidecars
}

// containers reads the containers from the last to the first, so that the reason of the first one is kept.
func (s *podSummary) containers(pod *corev1.Pod) {
	running, failed := false, ""
	for i := len(pod.Status.ContainerStatuses) - 1; i >= 0; i-- {
		c := &pod.Status.ContainerStatuses[i]
		s.restarts.add(c)
		switch ended, waiting := c.State.Terminated, c.State.Waiting; {
		case waiting != nil && waiting.Reason != "":
			s.status = waiting.Reason
		case ended != nil:
			s.status = endReason(ended)
			if ended.ExitCode != 0 {
				failed = s.status
			}
		case c.Ready && c.State.Running != nil:
			running = true
			s.ready++
		}
	}
	if s.status != "Completed" {
		return
	}
	switch {
	case running && pods.IsReady(pod):
		s.status = "Running"
	case failed != "":
		s.status = failed
	case running:
		s.status = "NotReady"
	}
}

// endReason is "Error", or "Signal:9" or "ExitCode:3" where the runtime named none.
func endReason(t *corev1.ContainerStateTerminated) string {
	switch {
	case t.Reason != "":
		return t.Reason
	case t.Signal != 0:
		return fmt.Sprintf("Signal:%d", t.Signal)
	}
	return fmt.Sprintf("ExitCode:%d", t.ExitCode)
}
