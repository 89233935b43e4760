package store

import (
	"context"
	"sync"
	"time"
)

// ProgressRequests request the progress of quiet watches while a caller waits for it.
type ProgressRequests struct {
	store Store
	wake  chan struct{}
	mu    sync.Mutex     // guards waits
	waits map[string]int // by the start of a watch: how many callers wait
}

// NewProgressRequests returns those of a store. Run makes them.
func NewProgressRequests(s Store) *ProgressRequests {
	return &ProgressRequests{store: s, wake: make(chan struct{}, 1), waits: map[string]int{}}
}

// Wait begins a wait for the watches that begin at prefix; the caller calls the result when it is over.
func (p *ProgressRequests) Wait(prefix string) (over func()) {
	p.mu.Lock()
	p.waits[prefix]++
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.waits[prefix]--; p.waits[prefix] == 0 {
			delete(p.waits, prefix)
		}
	}
}

func (p *ProgressRequests) waiting() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for prefix := range p.waits {
		out = append(out, prefix)
	}
	return out
}

// The pause between two requests while a caller waits: a watch that catches up does not answer.
const (
	firstProgress = 2 * time.Millisecond
	lastProgress  = 200 * time.Millisecond
)

// Run makes the requests until ctx is done.
func (p *ProgressRequests) Run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	pause := firstProgress
	for {
		select {
		case <-p.wake:
			pause = firstProgress
		case <-timer.C:
			pause = min(2*pause, lastProgress)
		case <-ctx.Done():
			return nil
		}
		prefixes := p.waiting()
		for _, prefix := range prefixes {
			pctx, cancel := context.WithTimeout(ctx, ReadTimeout)
			_ = p.store.Progress(pctx, prefix) // a failure shows in the watch itself; the next try comes soon
			cancel()
		}
		if len(prefixes) > 0 {
			timer.Reset(pause)
		}
	}
}
