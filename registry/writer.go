package registry

import (
	"context"

	"gantry/registry/history"
)

type writerKey struct{}

// WithWriter names the user on whose behalf a write is made; it defaults to the agent. History tells it.
func WithWriter(ctx context.Context, user string) context.Context {
	return context.WithValue(ctx, writerKey{}, user)
}

// recordOf says who replaces revision after now.
func (r *Registry) recordOf(ctx context.Context, after int64) history.Record {
	user, _ := ctx.Value(writerKey{}).(string)
	if user == "" {
		user = r.cfg.Agent
		if r.cfg.Node != "" {
			user += "/" + r.cfg.Node
		}
	}
	return history.Record{User: user, Time: history.Now(), After: after}
}
