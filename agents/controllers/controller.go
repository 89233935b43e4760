package controllers

import (
	"context"
	"log/slog"
	"time"

	"gantry/agents/internal/events"
	"gantry/agents/internal/loop"
	"gantry/registry"
	"gantry/schema"
)

// controller is one loop, as a value.
type controller struct {
	// name is what --controllers, logs and metrics call it.
	name string
	// doc is one line of what it is for.
	doc string
	// reads and writes are the kinds it looks at and the kinds it changes.
	reads, writes []*schema.Kind
	// workers look at different keys at the same time.
	workers int
	// setup makes what one term of leadership needs; it starts nothing.
	setup func(e *env) wiring
}

// env is what a controller works with during one term of leadership.
type env struct {
	r      *registry.Registry
	events *events.Recorder
	log    *slog.Logger
	// add asks for a look at a key after a while; 0 is now. It never blocks.
	add func(key string, after time.Duration)
}

// wiring is what a controller's setup makes.
type wiring struct {
	// watches say which keys a change asks to look at.
	watches []watch
	// reconcile looks at one key; see loop.Reconcile.
	reconcile loop.Reconcile
	// run is work beside the queue, until ctx is done; may be nil.
	run func(ctx context.Context) error
}

// watch turns the changes of a kind into keys. keys runs on the one goroutine that follows the kind: it must not
// block. old is nil for a new object, current for one that is gone.
type watch struct {
	kind *schema.Kind
	keys func(old, current schema.Object)
}

// repair is a loop of the registry that a leader runs.
func repair(run func(context.Context) error) wiring {
	return wiring{
		reconcile: func(context.Context, string) (time.Duration, error) { return 0, nil },
		run: func(ctx context.Context) error {
			err := run(ctx)
			if ctx.Err() != nil {
				return nil
			}
			return err
		},
	}
}
