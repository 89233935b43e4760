package podstatus

import (
	corev1 "k8s.io/api/core/v1"

	"gantry/schema/pods"
)

// containerCounts counts what a pod's containers are doing.
type containerCounts struct{ waiting, running, stopped, succeeded int }

func (t *containerCounts) add(s corev1.ContainerStatus) {
	switch {
	case s.State.Running != nil:
		t.running++
	case s.State.Terminated != nil:
		t.stopped++
		if s.State.Terminated.ExitCode == 0 {
			t.succeeded++
		}
	case s.LastTerminationState.Terminated != nil:
		t.stopped++ // it waits to be started again
	default:
		t.waiting++
	}
}

// phase is the pod's phase by its containers' statuses in s.
func (b *statusBuilder) phase(s corev1.PodStatus) corev1.PodPhase {
	policy := b.Pod.Spec.RestartPolicy
	var apps containerCounts
	for _, c := range s.ContainerStatuses {
		apps.add(c)
	}
	begun := apps.running+apps.stopped > 0
	pendingInit, failedInit := b.initPhase(s, begun)
	sidecars, pendingSidecar := b.sidecars(s)
	running := apps.running + sidecars
	ended := b.Ending() && b.AllStopped()
	switch {
	case failedInit && policy == corev1.RestartPolicyNever:
		return corev1.PodFailed
	case ended && (b.Gone || b.Pod.DeletionTimestamp != nil):
		if apps.succeeded == len(s.ContainerStatuses) {
			return corev1.PodSucceeded
		}
		return corev1.PodFailed
	case pendingInit || pendingSidecar && !begun || apps.waiting > 0:
		return corev1.PodPending
	case running > 0 || apps.stopped == 0:
		return corev1.PodRunning
	case policy == corev1.RestartPolicyAlways:
		return corev1.PodRunning
	case apps.succeeded == apps.stopped:
		return corev1.PodSucceeded
	case policy == corev1.RestartPolicyNever:
		return corev1.PodFailed
	}
	return corev1.PodRunning
}

// initPhase tells whether init containers hold the apps back, and whether one has failed. Once the apps have begun neither is so.
func (b *statusBuilder) initPhase(s corev1.PodStatus, begun bool) (pending, failed bool) {
	for i, c := range s.InitContainerStatuses {
		if begun || pods.IsSidecar(&b.Pod.Spec.InitContainers[i]) {
			continue
		}
		t := c.State.Terminated
		if t == nil {
			t = c.LastTerminationState.Terminated
			pending = true
		}
		failed = failed || t != nil && t.ExitCode != 0
	}
	return pending, failed
}

// sidecars is how many sidecars run, and whether one is not started yet.
func (b *statusBuilder) sidecars(s corev1.PodStatus) (running int, pending bool) {
	for i, c := range s.InitContainerStatuses {
		if !pods.IsSidecar(&b.Pod.Spec.InitContainers[i]) {
			continue
		}
		if c.State.Running != nil {
			running++
		}
		pending = pending || !*c.Started
	}
	return running, pending
}
