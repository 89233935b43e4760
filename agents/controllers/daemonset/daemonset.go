package daemonset

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/history"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/apps"
	"gantry/schema/core"
)

type daemonSets struct {
	*controller.Env
	index  *controller.SelectorIndex
	failed *failedPods

	mu   sync.Mutex      // guards keys
	keys map[string]bool // of all sets: a change of a node may mean something to each
}

// New makes the pods and revisions of daemon sets. Its keys are those of DaemonSets.
func New(e *controller.Env) controller.Reconciler {
	c := &daemonSets{Env: e, index: controller.NewSelectorIndex(), failed: &failedPods{byNode: map[string]failure{}}, keys: map[string]bool{}}
	return controller.Reconciler{
		Reconcile: c.reconcile,
		Watches: []controller.Watch{
			{Kind: apps.DaemonSet, Keys: c.onSet},
			history.Watch(e, apps.DaemonSet, c.index, hashLabel),
			{Kind: core.Pod, Keys: c.onPod},
			{Kind: core.Node, Keys: c.onNode},
		},
	}
}

func (c *daemonSets) onSet(old, current schema.Object) {
	if current == nil {
		c.index.Set(old, nil)
		c.setKey(controller.KeyOf(old), false)
		return
	}
	key := controller.KeyOf(current)
	c.index.Set(current, controller.SelectorOf(current.(*appsv1.DaemonSet).Spec.Selector))
	c.setKey(key, true)
	c.Enqueue(key, 0)
}

func (c *daemonSets) setKey(key string, there bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if there {
		c.keys[key] = true
	} else {
		delete(c.keys, key)
	}
}

// onPod leaves out changes of a pod that mean nothing to a daemon set.
func (c *daemonSets) onPod(old, current schema.Object) {
	if old != nil && current != nil {
		if a, b := old.(*corev1.Pod), current.(*corev1.Pod); a.Spec.NodeName == b.Spec.NodeName && controller.SamePod(a, b) {
			return
		}
	}
	c.EnqueueOwner("DaemonSet", c.index, old, current)
}

func (c *daemonSets) onNode(old, current schema.Object) {
	if old != nil && current != nil && sameNode(old.(*corev1.Node), current.(*corev1.Node)) {
		return
	}
	c.mu.Lock()
	keys := slices.Collect(maps.Keys(c.keys))
	c.mu.Unlock()
	for _, key := range keys {
		c.Enqueue(key, c.index.Delay(key))
	}
}

func (c *daemonSets) reconcile(ctx context.Context, key string) (time.Duration, error) {
	ns, name, _ := strings.Cut(key, "/")
	ds, err := registry.For[*appsv1.DaemonSet](c.Registry).Cached(ctx, ns, name)
	if errors.Is(err, registry.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	selector := controller.SelectorOf(ds.Spec.Selector)
	if selector == nil {
		c.Events.Event(apps.DaemonSet, ds, "Warning", "SelectingAll", "This daemon set is selecting all pods. A non-empty selector is required.")
		return 0, nil
	}
	o, claim, err := c.observe(ctx, ds, selector)
	if err != nil {
		return 0, err
	}
	c.index.SetSize(key, len(o.podList))
	if len(claim) > 0 {
		return controller.RequeueNow, c.AdoptAndRelease(ctx, apps.DaemonSet, ds, claim)
	}
	p := planSet(o)
	return p.after, c.execute(ctx, ds, p)
}

// observe reads what a plan is made of, and returns the plan of adoptions and releases.
func (c *daemonSets) observe(ctx context.Context, ds *appsv1.DaemonSet, selector labels.Selector) (o observed, claim []controller.Action, err error) {
	now := time.Now()
	o = observed{ds: ds, now: now, failedWait: func(node string) time.Duration { return c.failed.wait(failureKey(ds, node), now) }}
	if o.nodes, err = registry.For[*corev1.Node](c.Registry).CachedList(ctx, "", ""); err != nil {
		return o, nil, err
	}
	revisions, err := controller.OwnedOrSelected[*appsv1.ControllerRevision](ctx, c.Registry, ds, selector)
	if err != nil {
		return o, nil, err
	}
	o.revisions, claim = controller.ClaimChildren(apps.DaemonSet, ds, apps.ControllerRevision, selector, revisions)
	candidates, err := controller.OwnedOrSelected[*corev1.Pod](ctx, c.Registry, ds, selector)
	if err != nil {
		return o, nil, err
	}
	var claimPods []controller.Action
	o.podList, claimPods = controller.ClaimChildren(apps.DaemonSet, ds, core.Pod, selector, candidates)
	return o, append(claim, claimPods...), nil
}

func (c *daemonSets) execute(ctx context.Context, ds *appsv1.DaemonSet, p plan) error {
	if err := c.Execute(ctx, p.revision); err != nil {
		return history.CountCollision(ctx, c.Registry, owner(ds), p.revision, err, func(ds *appsv1.DaemonSet) **int32 { return &ds.Status.CollisionCount })
	}
	for _, ev := range p.events {
		c.Record(ev)
	}
	for _, node := range p.failedOn {
		c.failed.count(failureKey(ds, node), time.Now())
	}
	return errors.Join(c.Execute(ctx, p.pods), c.Execute(ctx, p.status), c.Execute(ctx, p.history))
}
