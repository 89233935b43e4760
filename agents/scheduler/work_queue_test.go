package scheduler

import (
	"context"
	"log/slog"
	"testing"
)

// TestAWorkersPanicIsRecovered: what panics on one item is there for the next.
func TestAWorkersPanicIsRecovered(t *testing.T) {
	m := newMailbox[int]()
	m.put(1)
	m.put(2)
	ctx, cancel := context.WithCancel(t.Context())
	var seen []int
	m.work(ctx, slog.New(slog.DiscardHandler), "testing", 1, func(_ context.Context, n int) {
		if seen = append(seen, n); n == 1 {
			panic("hostile")
		}
		cancel()
	})
	if len(seen) != 2 {
		t.Errorf("did %v, want 1 and 2", seen)
	}
}
