package statefulset

import (
	"context"
	"errors"
	"strings"
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

type statefulSets struct {
	*controller.Env
	index *controller.SelectorIndex
}

// New makes the pods, claims and revisions of stateful sets. Its keys are those of StatefulSets.
func New(e *controller.Env) controller.Reconciler {
	c := statefulSets{e, controller.NewSelectorIndex()}
	return controller.Reconciler{
		Reconcile: c.reconcile,
		Watches: []controller.Watch{
			{Kind: apps.StatefulSet, Keys: c.onSet},
			history.Watch(e, apps.StatefulSet, c.index, hashLabel),
			{Kind: core.Pod, Keys: c.onPod},
			{Kind: core.PersistentVolumeClaim, Keys: c.onClaim},
		},
	}
}

func (c statefulSets) onSet(old, current schema.Object) {
	if current == nil {
		c.index.Set(old, nil)
		return
	}
	c.index.Set(current, controller.SelectorOf(current.(*appsv1.StatefulSet).Spec.Selector))
	c.Enqueue(controller.KeyOf(current), 0)
}

// onPod leaves out changes of a pod that mean nothing to a stateful set.
func (c statefulSets) onPod(old, current schema.Object) {
	if old != nil && current != nil && controller.SamePod(old.(*corev1.Pod), current.(*corev1.Pod)) {
		return
	}
	c.EnqueueOwner("StatefulSet", c.index, old, current)
}

// onClaim enqueues the sets that select a claim that is deleted or changes its owners: claims have the labels of their set's selector.
func (c statefulSets) onClaim(old, current schema.Object) {
	if old == nil {
		return
	}
	if current != nil && (old.GetDeletionTimestamp() == nil) == (current.GetDeletionTimestamp() == nil) && len(old.GetOwnerReferences()) == len(current.GetOwnerReferences()) {
		return
	}
	c.index.Each(old.GetNamespace(), old.GetLabels(), func(key string) { c.Enqueue(key, c.index.Delay(key)) })
}

func (c statefulSets) reconcile(ctx context.Context, key string) (time.Duration, error) {
	ns, name, _ := strings.Cut(key, "/")
	set, err := registry.For[*appsv1.StatefulSet](c.Registry).Cached(ctx, ns, name)
	if errors.Is(err, registry.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	selector := controller.SelectorOf(set.Spec.Selector)
	if selector == nil {
		return 0, nil // only somebody who writes past the API can make it
	}
	o, claim, err := c.observe(ctx, set, selector)
	if err != nil {
		return 0, err
	}
	c.index.SetSize(key, len(o.members))
	if len(claim) > 0 {
		return controller.RequeueNow, c.AdoptAndRelease(ctx, apps.StatefulSet, set, claim)
	}
	p, err := planSet(o)
	if err != nil {
		return 0, err
	}
	return p.after, c.execute(ctx, set, p)
}

// observe reads what a plan is made of, and returns the plan of adoptions and releases.
func (c statefulSets) observe(ctx context.Context, set *appsv1.StatefulSet, selector labels.Selector) (o observed, claim []controller.Action, err error) {
	o = observed{set: set, claims: map[string]*corev1.PersistentVolumeClaim{}, now: time.Now()}
	revisions, err := registry.For[*appsv1.ControllerRevision](c.Registry).CachedList(ctx, set.Namespace, selector.String())
	if err != nil {
		return o, nil, err
	}
	o.revisions, claim = controller.ClaimChildren(apps.StatefulSet, set, apps.ControllerRevision, selector, revisions)
	candidates, err := controller.OwnedOrSelected[*corev1.Pod](ctx, c.Registry, set, selector)
	if err != nil {
		return o, nil, err
	}
	children, claimPods := controller.ClaimMatching(apps.StatefulSet, set, core.Pod, func(p *corev1.Pod) bool {
		_, named := ordinalOf(set, p)
		return named && selector.Matches(labels.Set(p.Labels))
	}, candidates)
	for _, p := range children {
		ordinal, _ := ordinalOf(set, p)
		o.members = append(o.members, member{ordinal, p})
	}
	return o, append(claim, claimPods...), c.readClaims(ctx, o)
}

// readClaims reads the claims of the pods there are and of those that may be made.
func (c statefulSets) readClaims(ctx context.Context, o observed) error {
	if len(o.set.Spec.VolumeClaimTemplates) == 0 {
		return nil
	}
	var ordinals []int
	for _, m := range o.members {
		ordinals = append(ordinals, m.ordinal)
	}
	for i := range min(replicas(o.set), len(o.members)+maxCreated) {
		ordinals = append(ordinals, start(o.set)+i)
	}
	client := registry.For[*corev1.PersistentVolumeClaim](c.Registry)
	for _, ordinal := range ordinals {
		for i := range o.set.Spec.VolumeClaimTemplates {
			name := claimName(o.set, &o.set.Spec.VolumeClaimTemplates[i], ordinal)
			if o.claims[name] != nil {
				continue
			}
			claim, err := client.Cached(ctx, o.set.Namespace, name)
			if err != nil && !errors.Is(err, registry.NotFound) {
				return err
			}
			if err == nil {
				o.claims[name] = claim
			}
		}
	}
	return nil
}

func (c statefulSets) execute(ctx context.Context, set *appsv1.StatefulSet, p plan) error {
	if err := c.Execute(ctx, p.revision); err != nil {
		return history.CountCollision(ctx, c.Registry, owner(set), p.revision, err, func(s *appsv1.StatefulSet) **int32 { return &s.Status.CollisionCount })
	}
	for _, ev := range p.events {
		c.Record(ev)
	}
	return errors.Join(c.Execute(ctx, p.pods), c.Execute(ctx, p.status), c.Execute(ctx, p.history))
}
