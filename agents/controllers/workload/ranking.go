package workload

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/schema/pods"
)

// rankForDeletion sorts the pods in the order in which they are to be deleted. In this order of weight, the first is:
//   - not on a node
//   - Pending, then Unknown, then Running
//   - not ready
//   - of lower pod-deletion-cost
//   - on a node with more pods of the same deployment
//   - ready for less time, by orders of magnitude
//   - restarted more often
//   - younger, by orders of magnitude
//   - of lower uid, so that the order is one
func rankForDeletion(pods []*corev1.Pod, related map[string]int, now time.Time) []*corev1.Pod {
	ranks := make([]rank, len(pods))
	for i, p := range pods {
		ranks[i] = rankOf(p, related, now)
	}
	slices.SortFunc(ranks, func(a, b rank) int {
		return cmp.Or(slices.Compare(a.weights[:], b.weights[:]), cmp.Compare(a.pod.UID, b.pod.UID), cmp.Compare(a.pod.Name, b.pod.Name))
	})
	out := make([]*corev1.Pod, len(pods))
	for i, r := range ranks {
		out[i] = r.pod
	}
	return out
}

// RankForDeletion is rankForDeletion for pods of which no others count: those of a job.
func RankForDeletion(pods []*corev1.Pod, now time.Time) []*corev1.Pod {
	return rankForDeletion(pods, nil, now)
}

// rank is a pod with its weights; lower goes first.
type rank struct {
	pod     *corev1.Pod
	weights [8]int64
}

func rankOf(p *corev1.Pod, related map[string]int, now time.Time) rank {
	return rank{p, [8]int64{
		bit(p.Spec.NodeName != ""),
		phaseRank[p.Status.Phase],
		bit(pods.IsReady(p)),
		deletionCost(p),
		-int64(related[p.Spec.NodeName]),
		magnitude(pods.ReadySince(p), now),
		-restarts(p),
		magnitude(p.CreationTimestamp.Time, now),
	}}
}

var phaseRank = map[corev1.PodPhase]int64{"": 0, corev1.PodPending: 0, corev1.PodUnknown: 1, corev1.PodRunning: 2}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// magnitude is the logarithm of an age. No time at all counts as young.
func magnitude(t, now time.Time) int64 {
	if t.IsZero() || !t.Before(now) {
		return -1
	}
	return int64(math.Log2(float64(now.Sub(t))))
}

func restarts(p *corev1.Pod) (n int64) {
	for _, c := range p.Status.ContainerStatuses {
		n = max(n, int64(c.RestartCount))
	}
	return n
}

// deletionCost reads the annotation; what is not a number costs nothing.
func deletionCost(p *corev1.Pod) int64 {
	n, err := strconv.ParseInt(p.Annotations[corev1.PodDeletionCost], 10, 32)
	if err != nil {
		return 0
	}
	return n
}
