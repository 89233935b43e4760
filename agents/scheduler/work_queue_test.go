package scheduler

import (
	"context"
	"log/slog"
	"testing"
)

// TestWorkerPanicIsRecovered: a worker that panicked on one item handles the next.
func TestWorkerPanicIsRecovered(t *testing.T) {
	q := newWorkQueue[int](2)
	q.offer(1)
	q.offer(2)
	ctx, cancel := context.WithCancel(t.Context())
	var seen []int
	q.runWorkers(ctx, slog.New(slog.DiscardHandler), "testing", 1, func(_ context.Context, n int) {
		if seen = append(seen, n); n == 1 {
			panic("hostile")
		}
		cancel()
	})
	if len(seen) != 2 {
		t.Errorf("did %v, want 1 and 2", seen)
	}
}
