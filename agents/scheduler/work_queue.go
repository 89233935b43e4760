package scheduler

import (
	"context"
	"log/slog"
	"sync"

	"gantry/registry/safely"
)

// workQueue is a bounded queue between goroutines. Safe for concurrent use.
type workQueue[T any] struct {
	items chan T
	room  chan struct{} // has a token after an item was taken
}

func newWorkQueue[T any](size int) *workQueue[T] {
	return &workQueue[T]{items: make(chan T, size), room: make(chan struct{}, 1)}
}

// put adds an item and waits while the queue is full. It returns false when ctx is done: the item is not added.
func (q *workQueue[T]) put(ctx context.Context, item T) bool {
	select {
	case q.items <- item:
		return true
	case <-ctx.Done():
		return false
	}
}

// offer adds an item unless the queue is full. It never blocks.
func (q *workQueue[T]) offer(item T) bool {
	select {
	case q.items <- item:
		return true
	default:
		return false
	}
}

// full returns whether the queue has no room. Where one goroutine adds all items, its next offer succeeds while full is false.
func (q *workQueue[T]) full() bool { return len(q.items) == cap(q.items) }

// runWorkers calls do for every item on some goroutines until ctx is done and all of them have returned. A panic of do is logged.
func (q *workQueue[T]) runWorkers(ctx context.Context, log *slog.Logger, doing string, workers int, do func(context.Context, T)) {
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				select {
				case item := <-q.items:
					select {
					case q.room <- struct{}{}:
					default:
					}
					safely.Do(log, doing, func() { do(ctx, item) })
				case <-ctx.Done():
				}
			}
		})
	}
	wg.Wait()
}
