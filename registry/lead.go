package registry

import (
	"context"

	"gantry/registry/election"
	"gantry/registry/store"
)

// Lead campaigns for the election name and, while this process leads, runs lead with a Registry whose every write is fenced: a deposed leader's
// writes fail with Conflict. See election.Candidate.Lead.
func (r *Registry) Lead(ctx context.Context, name, id string, lead func(ctx context.Context, r *Registry) error) error {
	c := election.Candidate{Store: r.store, Name: name, ID: id, Log: r.cfg.Log.With("agent", r.cfg.Agent)}
	return c.Lead(ctx, func(ctx context.Context, fenced store.Store) error {
		leader := *r
		leader.cfg.Agent = name // who its writes are by
		leader.store = fenced
		return lead(ctx, &leader)
	})
}
