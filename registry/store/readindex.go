package store

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ReadTimeout bounds one read-index round trip: a store that does not answer is Unavailable.
const ReadTimeout = 5 * time.Second

// ReadIndex shares read-index round trips among the reads that wait for one. A read joins only a round trip that starts
// after the read: an earlier one may have missed a write that the reader has seen.
type ReadIndex struct {
	store Store
	wake  chan struct{}
	mu    sync.Mutex // guards next
	next  *roundTrip
}

type roundTrip struct {
	done chan struct{}
	rev  int64
	err  error
}

// NewReadIndex returns the shared read index of a store. Run answers.
func NewReadIndex(s Store) *ReadIndex { return &ReadIndex{store: s, wake: make(chan struct{}, 1)} }

// Revision is the store's revision at some moment after the call. Unavailable where ended is closed before it is known.
func (x *ReadIndex) Revision(ctx context.Context, ended <-chan struct{}) (int64, error) {
	x.mu.Lock()
	if x.next == nil {
		x.next = &roundTrip{done: make(chan struct{})}
		x.wake <- struct{}{} // has room: Run takes the token before it takes next
	}
	mine := x.next
	x.mu.Unlock()
	select {
	case <-mine.done:
		return mine.rev, mine.err
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return 0, &Error{Kind: Timeout, Reason: "etcd did not answer in time", Cause: ctx.Err(), RetryAfter: etcdRetry}
		}
		return 0, ContextError(ctx)
	case <-ended:
		return 0, &Error{Kind: Unavailable, Reason: "the registry is shutting down"}
	}
}

// Run makes the round trips until ctx is done.
func (x *ReadIndex) Run(ctx context.Context) error {
	for {
		select {
		case <-x.wake:
		case <-ctx.Done():
			return nil
		}
		x.mu.Lock()
		now := x.next
		x.next = nil
		x.mu.Unlock()
		now.rev, now.err = x.readRevision(ctx)
		close(now.done)
	}
}

func (x *ReadIndex) readRevision(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	return x.store.Revision(ctx)
}
