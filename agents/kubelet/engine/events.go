package engine

import (
	"context"
	"fmt"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
)

// watched are the events that change a container's status.
var watched = []events.Action{events.ActionStart, events.ActionDie, events.ActionDestroy, events.ActionOOM}

// Watch is Engine's.
func (d *Docker) Watch(ctx context.Context, begin func() error, changed func(Ref)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := filters.NewArgs(filters.Arg("type", string(events.ContainerEventType)), d.ofNode())
	for _, a := range watched {
		f.Add("event", string(a))
	}
	stream, errs := d.api.Events(ctx, events.ListOptions{Filters: f})
	if err := begin(); err != nil {
		return err
	}
	for {
		select {
		case err := <-errs:
			return fmt.Errorf("reading the engine's events: %w", classify(err))
		case m := <-stream:
			changed(refOf(m.Actor.ID, m.Actor.Attributes))
		}
	}
}
