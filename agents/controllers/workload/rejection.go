package workload

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// A kubelet may reject a pod that was bound to it (OutOfcpu, NodePorts...): the pod is Failed before any container of it ran.
// Its replacement may be rejected as well, so replacements are created with a back-off.
const (
	firstRejectionWait = time.Second
	lastRejectionWait  = 5 * time.Minute
)

// rejectionBackoff is how long to wait until the next pods are made: double for every further second in which pods were made that
// were rejected, counted from the newest back to one that was not, or to a pause that is too long for the back-off. active and ended
// are the pods of a replica set.
func rejectionBackoff(active, ended []*corev1.Pod, now time.Time) time.Duration {
	var accepted time.Time
	var rejections []time.Time
	for _, p := range slices.Concat(active, ended) {
		switch made := p.CreationTimestamp.Time; {
		case rejected(p):
			rejections = append(rejections, made)
		case p.Status.Phase != corev1.PodPending && p.Status.Phase != "" && made.After(accepted):
			accepted = made
		}
	}
	slices.SortFunc(rejections, func(a, b time.Time) int { return b.Compare(a) })
	rejections = slices.CompactFunc(rejections, time.Time.Equal)
	wait := time.Duration(0)
	for i, made := range rejections {
		if !made.After(accepted) || i > 0 && rejections[i-1].Sub(made) > 2*lastRejectionWait {
			break
		}
		wait = min(max(2*wait, firstRejectionWait), lastRejectionWait)
	}
	if wait == 0 {
		return 0
	}
	return max(rejections[0].Add(wait).Sub(now), 0)
}

// rejected tells that a pod failed without having run.
func rejected(p *corev1.Pod) bool {
	ran := func(s corev1.ContainerStatus) bool {
		return s.State.Running != nil || s.State.Terminated != nil || s.LastTerminationState.Terminated != nil
	}
	return p.Status.Phase == corev1.PodFailed && !slices.ContainsFunc(p.Status.InitContainerStatuses, ran) && !slices.ContainsFunc(p.Status.ContainerStatuses, ran)
}
