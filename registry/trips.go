package registry

import (
	"context"
	"errors"
	"sync"
	"time"

	"gantry/registry/store"
)

// tripTimeout bounds one read-index round trip: a store that does not answer is Unavailable.
const tripTimeout = 5 * time.Second

// trips shares read-index round trips among the reads that wait for one. A read joins only a trip that starts
// after the read came: an earlier one may have missed a write that the reader knows of.
type trips struct {
	store store.Store
	wake  chan struct{}
	mu    sync.Mutex // guards next
	next  *trip
}

type trip struct {
	done chan struct{}
	rev  int64
	err  error
}

func newTrips(s store.Store) *trips { return &trips{store: s, wake: make(chan struct{}, 1)} }

// revision is the store's revision at some moment after the call.
func (t *trips) revision(ctx context.Context, ended <-chan struct{}) (int64, error) {
	t.mu.Lock()
	if t.next == nil {
		t.next = &trip{done: make(chan struct{})}
		t.wake <- struct{}{} // has room: run takes the token before it takes next
	}
	mine := t.next
	t.mu.Unlock()
	select {
	case <-mine.done:
		return mine.rev, mine.err
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return 0, &Error{Kind: Timeout, Reason: "etcd did not answer in time", Cause: ctx.Err(), RetryAfter: retryAfter}
		}
		return 0, ctxError(ctx)
	case <-ended:
		return 0, errEnded
	}
}

func (t *trips) run(ctx context.Context) error {
	for {
		select {
		case <-t.wake:
		case <-ctx.Done():
			return nil
		}
		t.mu.Lock()
		now := t.next
		t.next = nil
		t.mu.Unlock()
		now.rev, now.err = t.ask(ctx)
		close(now.done)
	}
}

func (t *trips) ask(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, tripTimeout)
	defer cancel()
	return t.store.Revision(ctx)
}
