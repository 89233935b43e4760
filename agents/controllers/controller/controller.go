package controller

import (
	"context"
	"log/slog"
	"time"

	"gantry/agents/internal/events"
	"gantry/agents/internal/loop"
	"gantry/registry"
	"gantry/schema"
)

// Controller is one loop, as a value.
type Controller struct {
	// Name is what --controllers, logs and metrics call it.
	Name string
	// Doc is one line of what it is for.
	Doc string
	// Reads and writes are the kinds it looks at and the kinds it changes.
	Reads, Writes []*schema.Kind
	// Workers look at different keys at the same time.
	Workers int
	// New makes what one term of leadership needs; it starts nothing.
	New func(e *Env) Reconciler
}

// Env is what a controller works with during one term of leadership.
type Env struct {
	Registry *registry.Registry
	Events   *events.Recorder
	Log      *slog.Logger
	// Enqueue asks for a look at a key after a while; 0 is now. It never blocks.
	Enqueue func(key string, after time.Duration)
}

// Reconciler is what a controller's setup makes.
type Reconciler struct {
	// Watches say which keys a change asks to look at.
	Watches []Watch
	// Reconcile looks at one key; see loop.Reconcile.
	Reconcile loop.Reconcile
	// Run is work beside the queue, until ctx is done; may be nil.
	Run func(ctx context.Context) error
}

// Watch turns the changes of a kind into keys. keys runs on the one goroutine that follows the kind: it must not
// block. old is nil for a new object, current for one that is gone.
type Watch struct {
	Kind *schema.Kind
	Keys func(old, current schema.Object)
}

// RunOnly is a loop of the registry that a leader runs.
func RunOnly(run func(context.Context) error) Reconciler {
	return Reconciler{
		Reconcile: func(context.Context, string) (time.Duration, error) { return 0, nil },
		Run: func(ctx context.Context) error {
			err := run(ctx)
			if ctx.Err() != nil {
				return nil
			}
			return err
		},
	}
}
