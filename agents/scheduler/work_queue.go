package scheduler

import (
	"context"
	"log/slog"
	"sync"

	"gantry/registry/safely"
)

// mailbox is an unbounded queue between goroutines: put never blocks.
type mailbox[T any] struct {
	mu    sync.Mutex // guards items
	items []T
	news  chan struct{} // has a token while items may be there
}

func newMailbox[T any]() *mailbox[T] { return &mailbox[T]{news: make(chan struct{}, 1)} }

func (m *mailbox[T]) put(item T) {
	m.mu.Lock()
	m.items = append(m.items, item)
	m.mu.Unlock()
	m.ring()
}

func (m *mailbox[T]) ring() {
	select {
	case m.news <- struct{}{}:
	default:
	}
}

// drain takes everything there is.
func (m *mailbox[T]) drain() []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	items := m.items
	m.items = nil
	return items
}

// take waits for one item; ok is false when ctx is done. Many may take.
func (m *mailbox[T]) take(ctx context.Context) (item T, ok bool) {
	for {
		m.mu.Lock()
		if len(m.items) > 0 {
			item, m.items = m.items[0], m.items[1:]
			more := len(m.items) > 0
			m.mu.Unlock()
			if more {
				m.ring()
			}
			return item, ctx.Err() == nil
		}
		m.mu.Unlock()
		select {
		case <-m.news:
		case <-ctx.Done():
			return item, false
		}
	}
}

// work takes items with some workers until ctx is done and all of them have returned. A panic of do is logged.
func (m *mailbox[T]) work(ctx context.Context, log *slog.Logger, doing string, workers int, do func(context.Context, T)) {
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				item, ok := m.take(ctx)
				if !ok {
					return
				}
				safely.Do(log, doing, func() { do(ctx, item) })
			}
		})
	}
	wg.Wait()
}
