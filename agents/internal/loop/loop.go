// Package loop is the work queue of every reconciling agent. It is keyed: a key is never reconciled by two workers at a
// time. It is level-triggered: several changes of a waiting key are one reconcile. Each key has its own back-off.
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

// Reconcile compares the object named key with its desired state and acts. after > 0: the key is added again after that
// time. On an error it is added again with back-off, and the error is logged unless it is a registry.Conflict.
type Reconcile func(ctx context.Context, key string) (after time.Duration, err error)

// Terminal marks an error that a retry cannot fix: it is logged, and the key is reconciled again only when it is added.
func Terminal(err error) error { return &terminal{err} }

type terminal struct{ error }

func (t *terminal) Unwrap() error { return t.error }

// Loop is a queue and its workers. Safe for concurrent use.
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

// Add adds key to the queue. It never blocks.
func (l *Loop) Add(key string) { l.queue.Add(key) }

// AddAfter adds key to the queue after d. It never blocks.
func (l *Loop) AddAfter(key string, d time.Duration) { l.queue.AddAfter(key, d) }

// Run reconciles the keys of the queue until ctx is done and the last reconcile has returned. Workers that have nothing to do cost nothing.
func (l *Loop) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() {
		busy := make(chan struct{}, l.workers)
		for {
			busy <- struct{}{}
			key, down := l.queue.Get()
			if down {
				return
			}
			wg.Go(func() {
				defer func() { <-busy }()
				l.process(ctx, key)
			})
		}
	})
	<-ctx.Done()
	l.queue.ShutDown()
	wg.Wait()
	return nil
}

// process reconciles a key.
func (l *Loop) process(ctx context.Context, key string) {
	defer l.queue.Done(key)
	if ctx.Err() != nil {
		return
	}
	after, err := l.callReconcile(ctx, key)
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
}

// callReconcile returns a panic as an error with its stack: other keys go on.
func (l *Loop) callReconcile(ctx context.Context, key string) (after time.Duration, err error) {
	err = safely.Call(func() error {
		after, err = l.reconcile(ctx, key)
		return err
	})
	return after, err
}
