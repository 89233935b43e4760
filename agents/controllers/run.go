package controllers

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"

	"gantry/agents/controllers/controller"
	"gantry/agents/internal/events"
	"gantry/agents/internal/loop"
	"gantry/registry"
	"gantry/registry/safely"
)

// Run campaigns for leadership and runs the controllers while it leads, until ctx is done.
func Run(ctx context.Context, cfg Config) error {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return err
	}
	cfg.Health.Ready("controllers", cfg.Registry.Ready)
	log := cfg.Log.With("agent", "controllers")
	ctx = registry.WithUser(ctx, &authenticationv1.UserInfo{Username: "system:kube-controller-manager", Groups: []string{"system:authenticated"}})
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

// lead runs the controllers for one term of leadership. No key is reconciled before every kind is followed: a change after the
// reconciliation would not be noticed.
func lead(ctx context.Context, cfg Config, r *registry.Registry, log *slog.Logger) error {
	group, ctx := safely.WithContext(ctx)
	recorder := events.New(r, "controllers", "", log)
	group.Go(func() error { return safely.Keep(ctx, log, "writing events", recorder.Run) })
	followed := make(chan struct{})
	begin := func(run func(context.Context) error) {
		group.Go(func() error {
			select {
			case <-followed:
			case <-ctx.Done():
			}
			return run(ctx)
		})
	}
	var watches watches
	for _, row := range table(cfg) {
		if !cfg.runs(row.Name) {
			continue
		}
		e := &controller.Env{Registry: controller.Restrict(r, &row, cfg.Undeclared), Events: recorder.WithComponent(cmp.Or(row.EventSource, row.Name+"-controller")), Log: log.With("controller", row.Name)}
		var l *loop.Loop
		e.Enqueue = func(key string, after time.Duration) {
			if after > 0 {
				l.AddAfter(key, after)
			} else {
				l.Add(key)
			}
		}
		c := row.New(e)
		l = loop.New(row.Name, row.Workers, log, controller.IgnoreNamespaceTerminating(c.Reconcile))
		watches.add(&row, c, cfg.Undeclared)
		begin(l.Run)
		if c.Run != nil {
			begin(func(ctx context.Context) error { return safely.Keep(ctx, e.Log, "working beside the queue", c.Run) })
		}
	}
	group.Go(func() error {
		watches.follow(ctx, r, func() { close(followed) })
		return nil
	})
	return group.Wait()
}
