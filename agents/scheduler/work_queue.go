package scheduler

import (
	"context"
	"log/slog"
	"sync"

	"gantry/registry/safely"
)

// workQueue is an unbounded queue between goroutines: put never blocks.
type workQueue[T any] struct {
	mu    sync.Mutex // guards items
	items []T
	ready chan struct{} // has a token while items may be there
}

func newWorkQueue[T any]() *workQueue[T] { return &workQueue[T]{ready: make(chan struct{}, 1)} }

func (q *workQueue[T]) put(item T) {
	q.mu.Lock()
	q.items = append(q.items, item)
	q.mu.Unlock()
	q.signal()
}

func (q *workQueue[T]) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// drain removes and returns all items.
func (q *workQueue[T]) drain() []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.items
	q.items = nil
	return items
}

// take waits for one item; ok is false when ctx is done. Safe for concurrent use.
func (q *workQueue[T]) take(ctx context.Context) (item T, ok bool) {
	for {
		q.mu.Lock()
		if len(q.items) > 0 {
			item, q.items = q.items[0], q.items[1:]
			more := len(q.items) > 0
			q.mu.Unlock()
			if more {
				q.signal()
			}
			return item, ctx.Err() == nil
		}
		q.mu.Unlock()
		select {
		case <-q.ready:
		case <-ctx.Done():
			return item, false
		}
	}
}

// runWorkers calls do for every item on some goroutines until ctx is done and all of them have returned. A panic of do is logged.
func (q *workQueue[T]) runWorkers(ctx context.Context, log *slog.Logger, doing string, workers int, do func(context.Context, T)) {
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				item, ok := q.take(ctx)
				if !ok {
					return
				}
				safely.Do(log, doing, func() { do(ctx, item) })
			}
		})
	}
	wg.Wait()
}
