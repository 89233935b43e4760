package controller

import (
	"context"
	"log/slog"
	"time"

	"gantry/agents/internal/events"
	"gantry/agents/internal/loop"
	"gantry/schema"
)

// Controller is one reconciling loop, as a value: a row of the table in package controllers.
type Controller struct {
	// Name is what --controllers, logs and metrics call it.
	Name string
	// Doc is one line of what it is for.
	Doc string
	// Reads and Writes are the kinds that it reads and watches, and those that it creates, changes or deletes. Env.Registry refuses others.
	Reads, Writes Kinds
	// EventSource is the component that its Events name; "": <Name>-controller. It is that of Kubernetes' controller.
	EventSource string
	// Workers is how many keys are reconciled at the same time.
	Workers int
	// New makes the controller for one term of leadership; it starts nothing.
	New func(e *Env) Reconciler
}

// Env is what a controller works with during one term of leadership.
type Env struct {
	// Registry reads and writes the kinds of the controller's row. Its writes are fenced by the election.
	Registry *Registry
	Events   *events.Recorder
	Log      *slog.Logger
	// Enqueue asks for a key to be reconciled after a while; 0 is now. It never blocks.
	Enqueue func(key string, after time.Duration)
}

// Reconciler is a controller made for one term of leadership.
type Reconciler struct {
	// Watches say which keys a change enqueues.
	Watches []Watch
	// WatchEvery returns the Keys of a kind, for a controller that watches every kind there is or will be; nil: not that one.
	WatchEvery func(k *schema.Kind) func(old, current schema.Object)
	// Reconcile brings what one key names to what is wanted; see loop.Reconcile.
	Reconcile loop.Reconcile
	// Run is work beside the queue, until ctx is done; may be nil.
	Run func(ctx context.Context) error
}

// Watch turns the changes of a kind into keys. Keys runs on the one goroutine that follows the kind: it must not block. old is nil
// for a new object, current for one that is gone.
type Watch struct {
	Kind *schema.Kind
	Keys func(old, current schema.Object)
}

// RunOnly is a controller without keys: run works until ctx is done.
func RunOnly(run func(context.Context) error) Reconciler {
	r := Idle()
	r.Run = func(ctx context.Context) error {
		err := run(ctx)
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	return r
}

// Idle is a controller that has nothing to do, for want of configuration.
func Idle() Reconciler {
	return Reconciler{Reconcile: func(context.Context, string) (time.Duration, error) { return 0, nil }}
}

// EnqueueOnce is the Run of a controller that starts from keys of its own: they are enqueued when it begins.
func (e *Env) EnqueueOnce(keys ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, key := range keys {
			e.Enqueue(key, 0)
		}
		<-ctx.Done()
		return nil
	}
}
