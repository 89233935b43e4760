package controllers

import (
	"context"
	"log/slog"
	"time"

	"gantry/agents/controllers/controller"
	"gantry/agents/internal/events"
	"gantry/agents/internal/loop"
	"gantry/registry"
	"gantry/registry/safely"
	"gantry/schema"
)

// Run campaigns for leadership and runs the controllers while it leads, until ctx is done.
func Run(ctx context.Context, cfg Config) error {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return err
	}
	cfg.Health.Ready("controllers", cfg.Registry.Ready)
	log := cfg.Log.With("agent", "controllers")
	err := cfg.Registry.Lead(ctx, "controllers", cfg.Identity, func(ctx context.Context, r *registry.Registry) error {
		log.Info("leadership won", "name", cfg.Identity)
		defer log.Info("leadership ended", "name", cfg.Identity)
		return lead(ctx, cfg, r, log)
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// lead runs one term of leadership. Nothing is looked at before every kind is followed: what changed after the look would not
// be looked at again.
func lead(ctx context.Context, cfg Config, r *registry.Registry, log *slog.Logger) error {
	g, ctx := safely.WithContext(ctx)
	recorder := events.New(r, "controllers", "", log)
	g.Go(func() error { return safely.Keep(ctx, log, "writing events", recorder.Run) })
	started := make(chan struct{})
	start := func(run func(context.Context) error) {
		g.Go(func() error {
			select {
			case <-started:
			case <-ctx.Done():
			}
			return run(ctx)
		})
	}
	byKind := map[*schema.Kind][]func(old, current schema.Object){}
	for _, c := range table(cfg) {
		if !cfg.runs(c.Name) {
			continue
		}
		e := &controller.Env{Registry: r, Events: recorder.As(source(c.Name)), Log: log.With("controller", c.Name)}
		var l *loop.Loop
		e.Enqueue = func(key string, after time.Duration) {
			if after > 0 {
				l.AddAfter(key, after)
			} else {
				l.Add(key)
			}
		}
		w := c.New(e)
		l = loop.New(c.Name, c.Workers, log, controller.IgnoreNamespaceTerminating(w.Reconcile))
		for _, v := range w.Watches {
			byKind[v.Kind] = append(byKind[v.Kind], v.Keys)
		}
		start(l.Run)
		if w.Run != nil {
			start(func(ctx context.Context) error { return safely.Keep(ctx, e.Log, "working beside the queue", w.Run) })
		}
	}
	kinds := map[*schema.Kind]func(registry.Change){}
	for k, fs := range byKind {
		kinds[k] = tell(fs)
	}
	g.Go(func() error {
		_ = r.FollowAll(ctx, kinds, func() { close(started) }) // its only error is ctx's
		return nil
	})
	return g.Wait()
}

// sources are what Kubernetes' controllers sign their events with, where that is not their name and "-controller".
var sources = map[string]string{
	"endpointslice": "endpoint-slice-controller", "endpoints": "endpoint-controller", "garbage": "garbage-collector-controller",
	"nodelifecycle": "node-controller", "nodeipam": "cidrAllocator", "taint": "taint-eviction-controller",
}

func source(controller string) string {
	if s := sources[controller]; s != "" {
		return s
	}
	return controller + "-controller"
}

// tell hands every change of a kind to all who watch it: one cursor and one decoding for all.
func tell(fs []func(old, current schema.Object)) func(registry.Change) {
	return func(c registry.Change) {
		var old, current schema.Object
		if c.Old != nil {
			old = c.Old.Object()
		}
		if c.New != nil {
			current = c.New.Object()
		}
		for _, f := range fs {
			f(old, current)
		}
	}
}
