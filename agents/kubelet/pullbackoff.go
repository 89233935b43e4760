package kubelet

import (
	"sync"
	"time"
)

// pullBackoff is how long a pod waits between pulls of an image that fails: 10 s, doubled up to 5 min. It belongs to the pod, so
// that a pod made anew after the cause is mended pulls at once.
type pullBackoff struct {
	mu     sync.Mutex // guards delays
	delays map[string]time.Duration
}

// next is how long to wait after another failed pull of ref.
func (b *pullBackoff) next(ref string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.delays == nil {
		b.delays = map[string]time.Duration{}
	}
	d := min(max(2*b.delays[ref], firstBackoff), maxBackoff)
	b.delays[ref] = d
	return d
}

// forget starts anew.
func (b *pullBackoff) forget(ref string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.delays, ref)
}
