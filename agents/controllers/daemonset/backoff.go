package daemonset

import (
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
)

// failedPods holds back the deletion of failed pods of a node, after which others are made: a kubelet may reject each of them. A new generation
// of the set begins anew. Safe for concurrent use.
type failedPods struct {
	mu     sync.Mutex // guards byNode
	byNode map[string]failure
}

type failure struct {
	last time.Time     // when a failed pod was last deleted
	wait time.Duration // how long after that the next one stays
}

const (
	firstFailureWait = time.Second
	lastFailureWait  = 15 * time.Minute
)

func failureKey(ds *appsv1.DaemonSet, node string) string {
	return fmt.Sprintf("%s/%d/%s", ds.UID, ds.Status.ObservedGeneration, node)
}

func (f failure) expired(now time.Time) bool { return now.Sub(f.last) > 2*lastFailureWait }

// wait is how long a failed pod of a node stays; 0: it goes now.
func (b *failedPods) wait(key string, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	f, ok := b.byNode[key]
	if !ok || f.expired(now) {
		return 0
	}
	return max(f.last.Add(f.wait).Sub(now), 0)
}

// count counts that a failed pod of a node is deleted.
func (b *failedPods) count(key string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, f := range b.byNode {
		if f.expired(now) {
			delete(b.byNode, k)
		}
	}
	b.byNode[key] = failure{now, min(max(2*b.byNode[key].wait, firstFailureWait), lastFailureWait)}
}
