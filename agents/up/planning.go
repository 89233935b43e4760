package up

import (
	"context"
	"log/slog"

	"gantry/agents/controllers"
	"gantry/agents/internal/daemon"
	"gantry/agents/scheduler"
	"gantry/registry"
	"gantry/registry/safely"
)

// planningControllers are those that make and remove pods, and what these need before they can be bound.
var planningControllers = []string{
	"deployment", "replicaset", "replicationcontroller", "statefulset", "daemonset", "job", "disruption",
	"persistentvolumebinder", "ephemeralvolume", "serviceaccount",
}

// RunPlanningAgents runs on r what decides which pods there are and where they go, until ctx is done.
func RunPlanningAgents(ctx context.Context, r *registry.Registry) error {
	log := slog.New(slog.DiscardHandler)
	g, ctx := safely.WithContext(ctx)
	g.Go(func() error {
		return controllers.Run(ctx, controllers.Config{
			Registry: r, Identity: "what-if", Controllers: planningControllers, Health: &daemon.Health{}, Log: log,
		})
	})
	g.Go(func() error {
		return scheduler.Run(ctx, scheduler.Config{Registry: r, Identity: "what-if", Health: &daemon.Health{}, Log: log})
	})
	return g.Wait()
}
