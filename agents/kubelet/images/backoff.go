package images

import (
	"sync"
	"time"
)

// How long a pod waits after the first failed pull of an image, and at most.
const (
	firstBackoff = 10 * time.Second
	maxBackoff   = 5 * time.Minute
)

// Backoff is how long a pod waits between pulls of an image that fails: 10 s, doubled up to 5 min. It belongs to the pod, so
// that a pod created again after the cause is mended pulls at once.
type Backoff struct {
	mu     sync.Mutex // guards delays
	delays map[string]time.Duration
}

// Next is how long to wait after another failed pull of ref.
func (b *Backoff) Next(ref string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.delays == nil {
		b.delays = map[string]time.Duration{}
	}
	d := min(max(2*b.delays[ref], firstBackoff), maxBackoff)
	b.delays[ref] = d
	return d
}

// Reset forgets the failed pulls of ref.
func (b *Backoff) Reset(ref string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.delays, ref)
}
