// Package safely runs functions that handle values of unknown origin: objects and keys written by hand. A panic ends the handling of one
// value and not the process, which may run the cluster's etcd. Every goroutine that handles such values uses it.
package safely

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

// Call runs f. A panic of f becomes an error with its stack.
func Call(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicked{fmt.Errorf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	return f()
}

// panicked is the error of a panic.
type panicked struct{ error }

// Do runs f. A panic of f is logged with its stack; doing says what f was about.
func Do(log *slog.Logger, doing string, f func()) {
	err := Call(func() error {
		f()
		return nil
	})
	if err != nil {
		log.Error("panic recovered", "reason", doing, "err", err)
	}
}

// The pause before what panicked is run again.
const (
	firstPause = time.Second
	lastPause  = time.Minute
)

// Keep runs f until it returns. Where it panics that is logged with its stack, and f is run again after a pause, until ctx is done.
func Keep(ctx context.Context, log *slog.Logger, doing string, f func(ctx context.Context) error) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := Call(func() error { return f(ctx) })
		if _, is := err.(*panicked); !is {
			return err
		}
		log.Error("panic recovered", "reason", doing, "after", pause, "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
	}
}
