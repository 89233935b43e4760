package job

import (
	"slices"
	"strconv"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"gantry/schema/pods"
)

// A pod that failed is replaced after a back-off, double for every further failure since the last success.
const (
	firstBackoff = 10 * time.Second
	lastBackoff  = 10 * time.Minute
)

// backoffLeft is how long to wait after the last of failures.
func backoffLeft(failures int, last, now time.Time) time.Duration {
	if failures <= 0 {
		return 0
	}
	wait := firstBackoff
	for i := 1; i < failures && wait < lastBackoff; i++ {
		wait = min(2*wait, lastBackoff)
	}
	return max(0, last.Add(wait).Sub(now))
}

// failures counts the failed pods of a job that finished after its last succeeded one, and tells when the last of them did. It reads the
// pods there are and, of those that vanish once they are counted, what deletedPods remembers.
func failures(job *batchv1.Job, podList []*corev1.Pod, deleted map[types.UID]time.Time) (n int, last time.Time) {
	success := time.Time{}
	failed := map[types.UID]time.Time{}
	for _, p := range podList {
		switch {
		case p.Status.Phase == corev1.PodSucceeded:
			if at := finishedAt(p); at.After(success) {
				success = at
			}
		// A pod that is being deleted and has no finalizer was not wanted any more.
		case isFailed(p, job) && (isTracked(p) || p.DeletionTimestamp == nil):
			failed[p.UID] = finishedAt(p)
		}
	}
	for uid, at := range deleted {
		if _, there := failed[uid]; !there {
			failed[uid] = at
		}
	}
	for _, at := range failed {
		if !at.After(success) {
			continue
		}
		n++
		if at.After(last) {
			last = at
		}
	}
	return n, last
}

// indexBackoffLeft is the back-off of an index whose last pod failed; 0 where that is nil.
func indexBackoffLeft(lastFailed *corev1.Pod, now time.Time) time.Duration {
	if lastFailed == nil {
		return 0
	}
	return backoffLeft(failureCount(lastFailed)+ignoredFailureCount(lastFailed)+1, finishedAt(lastFailed), now)
}

// failureCount is how many pods of a pod's index failed before it.
func failureCount(p *corev1.Pod) int {
	return annotatedCount(p, batchv1.JobIndexFailureCountAnnotation)
}

// ignoredFailureCount is how many failed before it that podFailurePolicy ignored.
func ignoredFailureCount(p *corev1.Pod) int {
	return annotatedCount(p, batchv1.JobIndexIgnoredFailureCountAnnotation)
}

func annotatedCount(p *corev1.Pod, annotation string) int {
	n, err := strconv.ParseInt(p.Annotations[annotation], 10, 32)
	if err != nil || n < 0 {
		return 0
	}
	return int(n)
}

// finishedAt is when a pod finished: when its last container did, else when it was no longer ready, else when its deletion was asked for,
// else when it was created.
func finishedAt(p *corev1.Pod) time.Time {
	if at := containersFinishedAt(p); !at.IsZero() {
		return at
	}
	if c := pods.Condition(p, corev1.PodReady); c != nil && c.Status == corev1.ConditionFalse && !c.LastTransitionTime.IsZero() {
		return c.LastTransitionTime.Time
	}
	if p.DeletionTimestamp != nil {
		return p.DeletionTimestamp.Add(-time.Duration(ptr.Deref(p.DeletionGracePeriodSeconds, 0)) * time.Second)
	}
	return p.CreationTimestamp.Time
}

// containersFinishedAt is when the last of a pod's containers finished, sidecars included; zero while one has not.
func containersFinishedAt(p *corev1.Pod) (last time.Time) {
	sidecar := func(s corev1.ContainerStatus) bool {
		return slices.ContainsFunc(p.Spec.InitContainers, func(c corev1.Container) bool {
			return c.Name == s.Name && ptr.Deref(c.RestartPolicy, "") == corev1.ContainerRestartPolicyAlways
		})
	}
	all := slices.Clone(p.Status.ContainerStatuses)
	for _, s := range p.Status.InitContainerStatuses {
		if sidecar(s) {
			all = append(all, s)
		}
	}
	for _, s := range all {
		if s.State.Terminated == nil || s.State.Terminated.FinishedAt.IsZero() {
			return time.Time{}
		}
		if at := s.State.Terminated.FinishedAt.Time; at.After(last) {
			last = at
		}
	}
	return last
}

// deletedPods remembers, for the back-off alone, when pods failed by being deleted: once they are counted they vanish. It is forgotten
// with a term of leadership.
type deletedPods struct {
	mu    sync.Mutex // guards byJob
	byJob map[string]map[types.UID]time.Time
}

// of are the pods remembered of a job.
func (d *deletedPods) of(key string) map[types.UID]time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.byJob[key]
}

// remember adds those of podList that failed by being deleted and are not counted yet.
func (d *deletedPods) remember(key string, job *batchv1.Job, podList []*corev1.Pod) {
	var more []*corev1.Pod
	for _, p := range podList {
		if p.DeletionTimestamp != nil && isTracked(p) && isFailed(p, job) {
			more = append(more, p)
		}
	}
	if len(more) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	all := map[types.UID]time.Time{} // of returned the other map
	for uid, at := range d.byJob[key] {
		all[uid] = at
	}
	for _, p := range more {
		all[p.UID] = finishedAt(p)
	}
	d.byJob[key] = all
}

func (d *deletedPods) forget(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.byJob, key)
}
