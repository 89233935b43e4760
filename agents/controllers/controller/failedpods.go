package controller

import (
	"sync"
	"time"
)

// FailedPods holds back the deletion of failed pods, after which others are made: a kubelet may reject each of them. A key names the pods that
// replace each other. It is for owners whose failed pods do not stay; a new leader begins anew. The zero value is ready; safe for
// concurrent use.
type FailedPods struct {
	mu    sync.Mutex // guards byKey
	byKey map[string]failure
}

type failure struct {
	last time.Time     // when a failed pod was last deleted
	wait time.Duration // how long after that the next one stays
}

const (
	firstFailureWait = time.Second
	lastFailureWait  = 15 * time.Minute
)

func (f failure) expired(now time.Time) bool { return now.Sub(f.last) > 2*lastFailureWait }

// Wait is how long a failed pod stays; 0: it goes now.
func (b *FailedPods) Wait(key string, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	f, ok := b.byKey[key]
	if !ok || f.expired(now) {
		return 0
	}
	return max(f.last.Add(f.wait).Sub(now), 0)
}

// Count counts that a failed pod is deleted: the next one stays for twice as long.
func (b *FailedPods) Count(key string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, f := range b.byKey {
		if f.expired(now) {
			delete(b.byKey, k)
		}
	}
	if b.byKey == nil {
		b.byKey = map[string]failure{}
	}
	b.byKey[key] = failure{now, min(max(2*b.byKey[key].wait, firstFailureWait), lastFailureWait)}
}
