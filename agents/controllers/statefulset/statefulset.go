package statefulset

import (
	"context"
	"errors"
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

type statefulSets struct {
	*controller.Env
	index  *controller.SelectorIndex
	failed controller.FailedPods
}

// New makes the pods, claims and revisions of stateful sets. Its keys are those of StatefulSets.
func New(e *controller.Env) controller.Reconciler {
	c := &statefulSets{Env: e, index: controller.NewSelectorIndex()}
	return controller.Reconciler{
		Reconcile: c.reconcile,
		Watches: []controller.Watch{
			{Kind: apps.StatefulSet, Keys: c.IndexOwner(c.index, func(obj schema.Object) *metav1.LabelSelector { return obj.(*appsv1.StatefulSet).Spec.Selector })},
			history.Watch(e, apps.StatefulSet, c.index, hashLabel),
			{Kind: core.Pod, Keys: c.EnqueuePodOwner("StatefulSet", c.index)},
			{Kind: core.PersistentVolumeClaim, Keys: c.onClaim},
		},
	}
}

// onClaim enqueues the sets that select a claim that is deleted or changes its owners: claims have the labels of their set's selector.
func (c *statefulSets) onClaim(old, current schema.Object) {
	if old == nil {
		return
	}
	if current != nil && (old.GetDeletionTimestamp() == nil) == (current.GetDeletionTimestamp() == nil) && len(old.GetOwnerReferences()) == len(current.GetOwnerReferences()) {
		return
	}
	c.index.Each(old.GetNamespace(), old.GetLabels(), func(key string) { c.Enqueue(key, c.index.Delay(key)) })
}

func (c *statefulSets) reconcile(ctx context.Context, key string) (time.Duration, error) {
	set, err := controller.Cached[*appsv1.StatefulSet](ctx, c.Registry, key)
	if err != nil || set == nil {
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

// failureKey names the pods of an ordinal. A new generation of the set begins anew.
func failureKey(set *appsv1.StatefulSet, ordinal int) string {
	return fmt.Sprintf("%s/%d/%d", set.UID, set.Generation, ordinal)
}

// observe reads what a plan is made of, and returns the plan of adoptions and releases.
func (c *statefulSets) observe(ctx context.Context, set *appsv1.StatefulSet, selector labels.Selector) (o observed, claim []controller.Action, err error) {
	now := time.Now()
	o = observed{set: set, claims: map[string]*corev1.PersistentVolumeClaim{}, now: now,
		failedWait: func(ordinal int) time.Duration { return c.failed.Wait(failureKey(set, ordinal), now) }}
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
func (c *statefulSets) readClaims(ctx context.Context, o observed) error {
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

func (c *statefulSets) execute(ctx context.Context, set *appsv1.StatefulSet, p plan) error {
	var failures []string
	for _, ordinal := range p.failedOrdinals {
		failures = append(failures, failureKey(set, ordinal))
	}
	return history.Execute(ctx, c.Env, owner(set), p.Plan, &c.failed, failures, func(set *appsv1.StatefulSet) **int32 { return &set.Status.CollisionCount })
}
