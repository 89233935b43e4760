package daemonset

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	failed controller.FailedPods
}

// New makes the pods and revisions of daemon sets. Its keys are those of DaemonSets.
func New(e *controller.Env) controller.Reconciler {
	c := &daemonSets{Env: e, index: controller.NewSelectorIndex()}
	return controller.Reconciler{
		Reconcile: c.reconcile,
		Watches: []controller.Watch{
			{Kind: apps.DaemonSet, Keys: c.IndexOwner(c.index, func(obj schema.Object) *metav1.LabelSelector { return obj.(*appsv1.DaemonSet).Spec.Selector })},
			history.Watch(e, apps.DaemonSet, c.index, hashLabel),
			{Kind: core.Pod, Keys: c.EnqueuePodOwner("DaemonSet", c.index)},
			{Kind: core.Node, Keys: c.onNode},
		},
	}
}

// onNode enqueues every set: each may run on the node.
func (c *daemonSets) onNode(old, current schema.Object) {
	if old != nil && current != nil && sameNode(old.(*corev1.Node), current.(*corev1.Node)) {
		return
	}
	for _, key := range c.index.Keys() {
		c.Enqueue(key, c.index.Delay(key))
	}
}

func (c *daemonSets) reconcile(ctx context.Context, key string) (time.Duration, error) {
	ds, err := controller.Cached[*appsv1.DaemonSet](ctx, c.Registry, key)
	if err != nil || ds == nil {
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

// failureKey names the pods of a node. A new generation of the set begins anew.
func failureKey(ds *appsv1.DaemonSet, node string) string {
	return fmt.Sprintf("%s/%d/%s", ds.UID, ds.Status.ObservedGeneration, node)
}

// observe reads what a plan is made of, and returns the plan of adoptions and releases.
func (c *daemonSets) observe(ctx context.Context, ds *appsv1.DaemonSet, selector labels.Selector) (o observed, claim []controller.Action, err error) {
	now := time.Now()
	o = observed{ds: ds, now: now, failedWait: func(node string) time.Duration { return c.failed.Wait(failureKey(ds, node), now) }}
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
	var failures []string
	for _, node := range p.failedOn {
		failures = append(failures, failureKey(ds, node))
	}
	return history.Execute(ctx, c.Env, owner(ds), p.Plan, &c.failed, failures, func(ds *appsv1.DaemonSet) **int32 { return &ds.Status.CollisionCount })
}
