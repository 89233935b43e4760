package registry

import (
	"context"
	"sync"
	"time"

	"gantry/registry/store"
)

// progress makes quiet watches tell how far they are, while somebody waits for that.
type progress struct {
	store store.Store
	wake  chan struct{}
	mu    sync.Mutex     // guards waits
	waits map[string]int // by prefix, those who wait
}

func newProgress(s store.Store) *progress {
	return &progress{store: s, wake: make(chan struct{}, 1), waits: map[string]int{}}
}

// ask begins a wait; the caller calls the result when it is over.
func (p *progress) ask(prefix string) (over func()) {
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

func (p *progress) waiting() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for prefix := range p.waits {
		out = append(out, prefix)
	}
	return out
}

// The pause between two requests while somebody still waits: a watch that catches up does not answer.
const (
	firstProgress = 2 * time.Millisecond
	lastProgress  = 200 * time.Millisecond
)

func (p *progress) run(ctx context.Context) error {
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
			pctx, cancel := context.WithTimeout(ctx, tripTimeout)
			_ = p.store.Progress(pctx, prefix) // a failure shows in the watch itself; the next try comes soon
			cancel()
		}
		if len(prefixes) > 0 {
			timer.Reset(pause)
		}
	}
}
