// Package loop is the work queue under every reconciling agent: keyed, so that one key is never worked on
// twice at a time; level-triggered, so that ten changes of a key are one look; with back-off per key.
package loop

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"

	"gantry/registry"
	"gantry/registry/safely"
)

// Reconcile looks at what key names now and acts. after > 0 asks for another look then. An error is logged
// and tried again with back-off; a registry.Conflict is tried again at once and is not logged.
type Reconcile func(ctx context.Context, key string) (after time.Duration, err error)

// Terminal marks an error that a repetition cannot mend: it is logged and the key is forgotten until it changes.
func Terminal(err error) error { return &terminal{err} }

type terminal struct{ error }

func (t *terminal) Unwrap() error { return t.error }

// Loop is a queue and its workers. Make it with New, feed it with Add, work it off with Run.
type Loop struct {
	name      string
	workers   int
	reconcile Reconcile
	log       *slog.Logger
	queue     workqueue.TypedRateLimitingInterface[string]
}

// The back-off of a key whose reconcile fails.
const (
	firstRetry = 5 * time.Millisecond
	lastRetry  = 5 * time.Minute
)

// New returns a loop; it starts nothing.
func New(name string, workers int, log *slog.Logger, reconcile Reconcile) *Loop {
	return &Loop{
		name: name, workers: workers, reconcile: reconcile, log: log,
		queue: workqueue.NewTypedRateLimitingQueueWithConfig(
			workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstRetry, lastRetry),
			workqueue.TypedRateLimitingQueueConfig[string]{Name: name, MetricsProvider: provider{}}),
	}
}

// Add asks for a look at key. It never blocks.
func (l *Loop) Add(key string) { l.queue.Add(key) }

// AddAfter asks for a look at key after d.
func (l *Loop) AddAfter(key string, d time.Duration) { l.queue.AddAfter(key, d) }

// Len is how many keys wait.
func (l *Loop) Len() int { return l.queue.Len() }

// Run works the queue off until ctx is done and every worker has returned.
func (l *Loop) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range l.workers {
		wg.Go(func() {
			for l.step(ctx) {
			}
		})
	}
	<-ctx.Done()
	l.queue.ShutDown()
	wg.Wait()
	return nil
}

func (l *Loop) step(ctx context.Context) bool {
	key, down := l.queue.Get()
	if down {
		return false
	}
	defer l.queue.Done(key)
	if ctx.Err() != nil {
		return true
	}
	after, err := l.safely(ctx, key)
	var t *terminal
	switch {
	case ctx.Err() != nil:
	case errors.As(err, &t):
		l.log.Error("reconcile gave up", "controller", l.name, "key", key, "err", err)
		l.queue.Forget(key)
	case errors.Is(err, registry.Conflict):
		l.queue.AddRateLimited(key)
	case err != nil:
		l.log.Warn("reconcile failed", "controller", l.name, "key", key, "attempt", l.queue.NumRequeues(key)+1, "err", err)
		l.queue.AddRateLimited(key)
	default:
		l.queue.Forget(key)
		if after > 0 {
			l.queue.AddAfter(key, after)
		}
	}
	return true
}

// safely turns a panic into an error with its stack: one bad object stops only itself.
func (l *Loop) safely(ctx context.Context, key string) (after time.Duration, err error) {
	err = safely.Call(func() error {
		after, err = l.reconcile(ctx, key)
		return err
	})
	return after, err
}
