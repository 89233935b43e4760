package controller

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Interruptions notes when this process last could not read the store, or did not run. Heartbeats that were not seen meanwhile prove
// nothing about who sends them, so their age counts from the last interruption at the earliest. Safe for concurrent use.
type Interruptions struct {
	mu   sync.Mutex // guards last
	last time.Time
}

// checkInterval is how often Watch checks.
const checkInterval = 5 * time.Second

// Age is how long ago seen is, or the last interruption, whichever is shorter.
func (i *Interruptions) Age(seen time.Time) time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.last.After(seen) {
		seen = i.last
	}
	return time.Since(seen)
}

// Note notes an interruption that lasted until now.
func (i *Interruptions) Note(now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.last = now
}

// Watch calls check, which reads from the store, every five seconds until ctx is done. An error of it is an interruption, and so is more
// than maxGap, which also bounds each read, between the ends of two checks.
func (i *Interruptions) Watch(ctx context.Context, log *slog.Logger, maxGap time.Duration, check func(context.Context) error) error {
	t := time.NewTicker(checkInterval)
	defer t.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		bounded, cancel := context.WithTimeout(ctx, maxGap)
		err := check(bounded)
		cancel()
		now := time.Now()
		if err != nil || now.Sub(last) > maxGap {
			i.Note(now)
			log.Warn("heartbeats not seen for a while", "took", now.Sub(last), "err", err)
		}
		last = now
	}
}
