package lifecycle

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
)

const (
	// eventLife is how long an event is kept after it last happened: kube-apiserver's --event-ttl.
	eventLife = time.Hour
	// eventGCEvery is how often all events are checked.
	eventGCEvery = 5 * time.Minute
)

// eventGC has one key: all events.
type eventGC struct{ *controller.Env }

// NewEventGC deletes events that last happened more than eventLife ago.
func NewEventGC(e *controller.Env) controller.Reconciler {
	c := eventGC{e}
	return controller.Reconciler{
		Reconcile: c.reconcile,
		Run:       c.EnqueueOnce("events"),
	}
}

func (c eventGC) reconcile(ctx context.Context, _ string) (time.Duration, error) {
	events := registry.For[*corev1.Event](c.Registry)
	all, err := events.CachedList(ctx, "", "")
	if err != nil {
		return eventGCEvery, err
	}
	for _, e := range expired(all, time.Now()) {
		// The revision too: an event that happened again in the meantime stays.
		err := events.Delete(ctx, e.Namespace, e.Name, registry.DeleteOptions{ResourceVersion: e.ResourceVersion})
		if err != nil && !errors.Is(err, registry.NotFound) && !errors.Is(err, registry.Conflict) {
			return eventGCEvery, err
		}
	}
	return eventGCEvery, nil
}

// expired are the events that last happened more than eventLife before now.
func expired(events []*corev1.Event, now time.Time) (old []*corev1.Event) {
	for _, e := range events {
		if now.Sub(lastHappened(e)) > eventLife {
			old = append(old, e)
		}
	}
	return old
}

// lastHappened is the newest of an event's times.
func lastHappened(e *corev1.Event) time.Time {
	last := e.CreationTimestamp.Time
	times := []time.Time{e.FirstTimestamp.Time, e.LastTimestamp.Time, e.EventTime.Time}
	if e.Series != nil {
		times = append(times, e.Series.LastObservedTime.Time)
	}
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}
