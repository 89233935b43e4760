package controllers

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/vanished"
	"gantry/agents/internal/events"
	"gantry/agents/internal/loop"
	"gantry/registry"
	"gantry/registry/bynode"
	"gantry/registry/safely"
	"gantry/schema/core"
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
	begin := func(run func(context.Context) error, after ...<-chan struct{}) {
		group.Go(func() error {
			for _, done := range after {
				select {
				case <-done:
				case <-ctx.Done():
				}
			}
			return run(ctx)
		})
	}
	pods, stop, err := keepVanished(cfg, r)
	if err != nil {
		return err
	}
	defer stop()
	watches := watches{vanished: pods}
	for _, row := range table(cfg) {
		if !cfg.runs(row.Name) {
			continue
		}
		e := &controller.Env{Registry: controller.Restrict(r, &row, pods, cfg.Undeclared), Events: recorder.WithComponent(cmp.Or(row.EventSource, row.Name+"-controller")), Log: log.With("controller", row.Name)}
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
		if pods == nil {
			begin(l.Run, followed)
		} else {
			begin(l.Run, followed, pods.Ready())
		}
		if c.Run != nil {
			begin(func(ctx context.Context) error { return safely.Keep(ctx, e.Log, "working beside the queue", c.Run) }, followed)
		}
	}
	group.Go(func() error {
		watches.follow(ctx, r, func() { close(followed) })
		return nil
	})
	return group.Wait()
}

// keepVanished returns the pods that have vanished during a term of leadership, which the controller bynode decides about; nil: it does not run. stop ends
// it.
func keepVanished(cfg Config, r *registry.Registry) (pods *vanished.Pods, stop func(), err error) {
	if !cfg.runs("bynode") {
		return nil, func() {}, nil
	}
	pods = vanished.New(bynode.NewCopies())
	stop, err = r.OnRemoved(core.Pod, pods.Removed)
	return pods, stop, err
}
