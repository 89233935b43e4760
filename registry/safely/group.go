package safely

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// Group is an errgroup.Group in which a panic is an error, with its stack, of the function that panicked.
type Group struct{ group *errgroup.Group }

// WithContext returns a group, and a context that ends with the first error or with Wait.
func WithContext(ctx context.Context) (*Group, context.Context) {
	g, ctx := errgroup.WithContext(ctx)
	return &Group{g}, ctx
}

// Go runs f on a goroutine of its own; it waits while as many run as SetLimit allows.
func (g *Group) Go(f func() error) { g.group.Go(func() error { return Call(f) }) }

// SetLimit bounds how many functions run at a time.
func (g *Group) SetLimit(n int) { g.group.SetLimit(n) }

// Wait waits for all functions and returns their first error.
func (g *Group) Wait() error { return g.group.Wait() }
