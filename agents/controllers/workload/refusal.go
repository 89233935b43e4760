package workload

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// A node may refuse a pod that was bound to it (OutOfcpu, NodePorts...): the pod is Failed before any container of it ran.
// Its replacement may be refused as well, so replacements come slower and slower.
const (
	firstRefusalWait = time.Second
	lastRefusalWait  = 5 * time.Minute
)

// refusalBackoff is how long to wait until the next pods are made: double for every further second in which pods were made that
// were refused, counted from the newest back to one that was not, or to a pause that shows another cause. living and done
// are a controller's pods. Pure.
func refusalBackoff(living, done []*corev1.Pod, now time.Time) time.Duration {
	var accepted time.Time
	var refusals []time.Time
	for _, p := range slices.Concat(living, done) {
		switch made := p.CreationTimestamp.Time; {
		case refused(p):
			refusals = append(refusals, made)
		case p.Status.Phase != corev1.PodPending && p.Status.Phase != "" && made.After(accepted):
			accepted = made
		}
	}
	slices.SortFunc(refusals, func(a, b time.Time) int { return b.Compare(a) })
	refusals = slices.CompactFunc(refusals, time.Time.Equal)
	wait := time.Duration(0)
	for i, made := range refusals {
		if !made.After(accepted) || i > 0 && refusals[i-1].Sub(made) > 2*lastRefusalWait {
			break
		}
		wait = min(max(2*wait, firstRefusalWait), lastRefusalWait)
	}
	if wait == 0 {
		return 0
	}
	return max(refusals[0].Add(wait).Sub(now), 0)
}

// refused tells that a pod failed without having run.
func refused(p *corev1.Pod) bool {
	ran := func(s corev1.ContainerStatus) bool {
		return s.State.Running != nil || s.State.Terminated != nil || s.LastTerminationState.Terminated != nil
	}
	return p.Status.Phase == corev1.PodFailed && !slices.ContainsFunc(p.Status.InitContainerStatuses, ran) && !slices.ContainsFunc(p.Status.ContainerStatuses, ran)
}
