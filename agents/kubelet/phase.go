package kubelet

import (
	corev1 "k8s.io/api/core/v1"
)

// tally counts what a pod's containers are doing.
type tally struct{ waiting, running, stopped, succeeded int }

func (t *tally) add(s corev1.ContainerStatus) {
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
	policy := b.pod.Spec.RestartPolicy
	var apps tally
	for _, c := range s.ContainerStatuses {
		apps.add(c)
	}
	ended := b.ending() && len(b.running()) == 0 && len(b.busy) == 0
	pendingInit, failedInit := b.initPhase(s, apps)
	switch {
	case failedInit && policy == corev1.RestartPolicyNever:
		return corev1.PodFailed
	case ended && (b.gone || b.pod.DeletionTimestamp != nil):
		if apps.succeeded == len(s.ContainerStatuses) {
			return corev1.PodSucceeded
		}
		return corev1.PodFailed
	case pendingInit || apps.waiting > 0:
		return corev1.PodPending
	case apps.running > 0 || apps.stopped == 0:
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

func (b *statusBuilder) running() []*found { return (&planner{view: b.view}).running() }

// initPhase tells whether init containers hold the apps back, and whether one has failed.
func (b *statusBuilder) initPhase(s corev1.PodStatus, apps tally) (pending, failed bool) {
	begun := apps.running+apps.stopped > 0
	for i, c := range s.InitContainerStatuses {
		if isSidecar(&b.pod.Spec.InitContainers[i]) {
			pending = pending || (!begun && !*c.Started)
			continue
		}
		t := c.State.Terminated
		if t == nil {
			t = c.LastTerminationState.Terminated
			pending = pending || !begun
		}
		failed = failed || (t != nil && t.ExitCode != 0 && !begun)
	}
	return pending, failed
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
