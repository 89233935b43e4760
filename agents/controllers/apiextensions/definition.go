package apiextensions

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/apiextensions"
	"gantry/schema/customresource"
)

type definition = apiextensionsv1.CustomResourceDefinition

// groupKey is the key of a group: its definitions are enqueued. Other keys are names of definitions.
const groupKey = "group/"

// Why a kind is not served is looked up servedDelay after its names were accepted, and then every refusedDelay; whether objects are gone after
// removedDelay.
const (
	servedDelay  = time.Second
	removedDelay = time.Second
	refusedDelay = 3 * time.Second
)

type reconciler struct{ *controller.Env }

// NewDefinition accepts the names of definitions, tells when their objects are served, and removes the objects of those that are deleted. It has
// one worker: two could accept one name for two definitions.
func NewDefinition(e *controller.Env) controller.Reconciler {
	r := reconciler{e}
	return controller.Reconciler{
		Reconcile: r.reconcile,
		Watches:   []controller.Watch{{Kind: apiextensions.CustomResourceDefinition, Keys: r.onChange}},
		WatchEvery: func(k *schema.Kind) func(old, current schema.Object) {
			if k.IsUnstructured() {
				r.Enqueue(k.GR().String(), 0) // it is served now
			}
			return nil
		},
	}
}

func (r reconciler) onChange(old, current schema.Object) {
	if current != nil {
		r.Enqueue(current.GetName(), 0)
	}
	if old == nil {
		return
	}
	was := old.(*definition)
	if current == nil || !equality.Semantic.DeepEqual(was.Status.AcceptedNames, current.(*definition).Status.AcceptedNames) {
		r.Enqueue(groupKey+was.Spec.Group, 0) // a name may be free now
	}
}

func (r reconciler) reconcile(ctx context.Context, key string) (time.Duration, error) {
	if group, ok := strings.CutPrefix(key, groupKey); ok {
		items, err := r.inGroup(ctx, group)
		for _, it := range items {
			r.Enqueue(it.Name, 0)
		}
		return 0, err
	}
	d, err := registry.For[*definition](r.Registry).Cached(ctx, "", key)
	switch {
	case errors.Is(err, registry.NotFound):
		return 0, nil
	case err != nil:
		return 0, err
	case d.DeletionTimestamp != nil:
		return r.finalize(ctx, d)
	}
	others, err := r.others(ctx, d)
	if err != nil {
		return 0, err
	}
	served, after, refused := r.served(d, time.Now())
	next := planStatus(d, others, served, refused, time.Now())
	if !equality.Semantic.DeepEqual(d.Status, next.Status) {
		return 0, r.updateStatus(ctx, next, "its names or conditions have changed")
	}
	return after, nil
}

// inGroup are the definitions of a group. Their names end in it: those of other groups are not decoded.
func (r reconciler) inGroup(ctx context.Context, group string) ([]*registry.Item, error) {
	list, err := r.Registry.List(ctx, apiextensions.CustomResourceDefinition, "", registry.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(list.Items), func(it *registry.Item) bool {
		_, of, _ := strings.Cut(it.Name, ".")
		return of != group
	}), nil
}

// others are the other definitions of a definition's group; none where it has the names that it wants.
func (r reconciler) others(ctx context.Context, d *definition) (all []*definition, err error) {
	if equality.Semantic.DeepEqual(d.Spec.Names, d.Status.AcceptedNames) {
		return nil, nil
	}
	items, err := r.inGroup(ctx, d.Spec.Group)
	for _, it := range items {
		if it.Name != d.Name {
			all = append(all, it.Object().(*definition))
		}
	}
	return all, err
}

// served tells whether this process serves the kind of a definition whose names are accepted, or why it will not. after is when that is looked up
// again; 0: when it changes.
func (r reconciler) served(d *definition, now time.Time) (is bool, after time.Duration, refused error) {
	names := apiextensions.FindCondition(d, apiextensionsv1.NamesAccepted)
	if !accepted(d) {
		return false, 0, nil
	}
	set := r.Registry.Kinds().Set()
	if k := set.Resource(d.Spec.Group, d.Status.AcceptedNames.Plural); k != nil && k.IsUnstructured() {
		return true, 0, nil
	}
	if now.Sub(names.LastTransitionTime.Time) < servedDelay {
		return false, servedDelay, nil // it is about to be served
	}
	k, err := customresource.Kind(d, nil)
	if err == nil {
		_, err = set.With(k)
	}
	return false, refusedDelay, err // a kind with its names may be about to go
}

func accepted(d *definition) bool {
	return apiextensions.HasCondition(d, apiextensionsv1.NamesAccepted)
}

func (r reconciler) updateStatus(ctx context.Context, d *definition, reason string) error {
	err := r.Execute(ctx, []controller.Action{{Do: controller.UpdateStatus, Kind: apiextensions.CustomResourceDefinition, Object: d, Reason: reason}})
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	return err
}

// finalize removes the objects of a definition that is being deleted, and then what holds the definition.
func (r reconciler) finalize(ctx context.Context, d *definition) (time.Duration, error) {
	if !slices.Contains(d.Finalizers, apiextensionsv1.CustomResourceCleanupFinalizer) {
		return 0, nil
	}
	next := d.DeepCopy()
	terminating := func(status apiextensionsv1.ConditionStatus, reason, message string) bool {
		apiextensions.SetCondition(next, apiextensions.Condition{Type: apiextensionsv1.Terminating, Status: status, Reason: reason, Message: message}, time.Now())
		return !equality.Semantic.DeepEqual(d.Status, next.Status)
	}
	if !apiextensions.HasCondition(d, apiextensionsv1.Established) {
		terminating(apiextensionsv1.ConditionFalse, "NeverEstablished", "resource was never established")
		return 0, r.release(ctx, next)
	}
	if c := apiextensions.FindCondition(d, apiextensionsv1.Terminating); c == nil || c.Reason == "InstanceDeletionPending" {
		terminating(apiextensionsv1.ConditionTrue, "InstanceDeletionInProgress", "CustomResource deletion is in progress")
		return 0, r.updateStatus(ctx, next, "its objects are being deleted")
	}
	left, err := r.removeObjects(ctx, d)
	switch {
	case err != nil:
		if terminating(apiextensionsv1.ConditionTrue, "InstanceDeletionFailed", fmt.Sprintf("could not issue all deletes: %v", err)) {
			err = errors.Join(err, r.updateStatus(ctx, next, "its objects cannot be deleted"))
		}
		return 0, err
	case len(left) > 0:
		if terminating(apiextensionsv1.ConditionTrue, "InstanceDeletionCheck", "could not confirm zero CustomResources remaining: "+remaining(left)) {
			return removedDelay, r.updateStatus(ctx, next, "objects of it remain")
		}
		return removedDelay, nil
	}
	terminating(apiextensionsv1.ConditionFalse, "InstanceDeletionCompleted", "removed all instances")
	return 0, r.release(ctx, next)
}

// release removes the finalizer, by which the definition goes.
func (r reconciler) release(ctx context.Context, next *definition) error {
	next.Finalizers = slices.DeleteFunc(next.Finalizers, func(f string) bool { return f == apiextensionsv1.CustomResourceCleanupFinalizer })
	return r.updateStatus(ctx, next, "no objects of it are left")
}

// removeObjects deletes the objects of a definition and returns those that stay.
func (r reconciler) removeObjects(ctx context.Context, d *definition) ([]*registry.Item, error) {
	k := r.Registry.Kinds().Set().Resource(d.Spec.Group, d.Status.AcceptedNames.Plural)
	if k == nil || !k.IsUnstructured() {
		return nil, fmt.Errorf("unable to find a custom resource client for %s.%s", d.Status.AcceptedNames.Plural, d.Spec.Group)
	}
	list, err := r.Registry.List(ctx, k, "", registry.ListOptions{})
	if err != nil {
		return nil, err
	}
	var plan []controller.Action
	for _, it := range list.Items {
		if !it.Deleting() {
			plan = append(plan, controller.Action{
				Do: controller.Delete, Kind: k, Object: it.Object(), Bulk: true, Quiet: true, Reason: "its definition is being deleted",
			})
		}
	}
	if err := r.Execute(ctx, plan); err != nil || len(list.Items) == 0 {
		return nil, err
	}
	list, err = r.Registry.List(ctx, k, "", registry.ListOptions{})
	return list.Items, err
}

// remaining says how many objects are left and what holds them.
func remaining(left []*registry.Item) string {
	finalizers := map[string]bool{}
	for _, it := range left {
		for _, f := range it.Object().GetFinalizers() {
			finalizers[f] = true
		}
	}
	text := fmt.Sprintf("%d remain", len(left))
	if len(finalizers) > 0 {
		text += ", with the finalizers " + strings.Join(slices.Sorted(maps.Keys(finalizers)), ", ")
	}
	return text
}
