package horizontalpodautoscaler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/equality"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/horizontalpodautoscaler/metrics"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/autoscaling"
)

// autoscalers has the keys "namespace/name" of autoscalers.
type autoscalers struct {
	*controller.Env
	metrics metrics.Client
	index   *controller.SelectorIndex // of the targets, by autoscaler

	mu        sync.Mutex // guards histories and due
	histories map[string]*history
	due       map[string]time.Time // when a key is to be reconciled again
}

// New scales the targets of autoscalers by metrics that gateway answers; nil: it says that there are none.
func New(gateway controller.Gateway) func(*controller.Env) controller.Reconciler {
	return func(e *controller.Env) controller.Reconciler {
		c := &autoscalers{
			Env: e, metrics: metrics.Client{Gateway: gateway}, index: controller.NewSelectorIndex(),
			histories: map[string]*history{}, due: map[string]time.Time{},
		}
		return controller.Reconciler{
			Reconcile: c.reconcile,
			Watches:   []controller.Watch{{Kind: autoscaling.HorizontalPodAutoscaler, Keys: c.onAutoscaler}},
		}
	}
}

// onAutoscaler enqueues an autoscaler that is new or has another spec.
func (c *autoscalers) onAutoscaler(old, current schema.Object) {
	if current == nil {
		c.index.Set(old, nil)
		c.enqueue(controller.KeyOf(old))
		return
	}
	if old == nil || old.GetUID() != current.GetUID() ||
		!equality.Semantic.DeepEqual(old.(*autoscalingv2.HorizontalPodAutoscaler).Spec, current.(*autoscalingv2.HorizontalPodAutoscaler).Spec) {
		c.enqueue(controller.KeyOf(current))
	}
}

// enqueue has a key reconciled now.
func (c *autoscalers) enqueue(key string) {
	c.makeDue(key)
	c.Enqueue(key, 0)
}

// wait is how long a key that is enqueued too early waits: a change of the spec adds one reconciliation, not one for every period.
func (c *autoscalers) wait(key string, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	const slack = time.Second
	if left := c.due[key].Sub(now); left > slack {
		return left
	}
	c.due[key] = now.Add(syncPeriod)
	return 0
}

// historyOf is a key's history; only the key's own reconciliation uses it.
func (c *autoscalers) historyOf(key string) *history {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.histories[key] == nil {
		c.histories[key] = &history{}
	}
	return c.histories[key]
}

func (c *autoscalers) forget(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.histories, key)
	delete(c.due, key)
}

func (c *autoscalers) reconcile(ctx context.Context, key string) (time.Duration, error) {
	ns, name, _ := strings.Cut(key, "/")
	cached, err := registry.For[*autoscalingv2.HorizontalPodAutoscaler](c.Registry).Cached(ctx, ns, name)
	if errors.Is(err, registry.NotFound) {
		c.forget(key)
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if left := c.wait(key, time.Now()); left > 0 {
		return left, nil
	}
	a := cached.DeepCopy()
	autoscaling.HorizontalPodAutoscaler.Default(a) // one that was written past the API may lack defaults
	o, err := c.observe(ctx, a)
	if err != nil {
		c.makeDue(key)
		return 0, err
	}
	return syncPeriod, c.act(ctx, cached, decide(o, c.historyOf(key), time.Now()), o.target, c.historyOf(key))
}

// makeDue lets the next reconciliation of a key run whenever it is: that of a changed spec, or the retry of one that failed.
func (c *autoscalers) makeDue(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.due, key)
}

// act scales the target and writes the status.
func (c *autoscalers) act(ctx context.Context, was *autoscalingv2.HorizontalPodAutoscaler, d *decision, t target, h *history) error {
	for _, ev := range d.events {
		c.Record(ev)
	}
	if d.rescale {
		err := c.Execute(ctx, []controller.Action{{
			Do: controller.Scale, Kind: t.kind, Object: t.object, Replicas: d.replicas,
			Reason: fmt.Sprintf("%d instead of %d replicas: %s", d.replicas, t.replicas, d.reason),
		}})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.Record(d.scaled(err, time.Now()))
		if err == nil {
			h.scaled(d.autoscaler.Spec.Behavior, t.replicas, d.replicas, time.Now())
		}
	}
	if equality.Semantic.DeepEqual(was.Status, d.autoscaler.Status) {
		return nil
	}
	changed := was.DeepCopy()
	changed.Status = d.autoscaler.Status
	return c.Execute(ctx, []controller.Action{{
		Do: controller.UpdateStatus, Kind: autoscaling.HorizontalPodAutoscaler, Object: changed, Quiet: true, Reason: "what was found and done",
	}})
}
