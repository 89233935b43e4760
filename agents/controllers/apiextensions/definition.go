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

// Whether a kind is served is looked up again after servedDelay, one that was refused after refusedDelay, and whether objects are gone after removedDelay.
const (
	servedDelay  = 10 * time.Millisecond
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
	all, err := registry.For[*definition](r.Registry).CachedList(ctx, "", "")
	if err != nil {
		return 0, err
	}
	if group, ok := strings.CutPrefix(key, groupKey); ok {
		for _, d := range all {
			if d.Spec.Group == group {
				r.Enqueue(d.Name, 0)
			}
		}
		return 0, nil
	}
	i := slices.IndexFunc(all, func(d *definition) bool { return d.Name == key })
	if i < 0 {
		return 0, nil
	}
	d := all[i]
	if d.DeletionTimestamp != nil {
		return r.finalize(ctx, d)
	}
	served, refused := r.served(d)
	next := planStatus(d, all, served, refused, time.Now())
	if !equality.Semantic.DeepEqual(d.Status, next.Status) {
		return 0, r.updateStatus(ctx, next, "its names or conditions have changed")
	}
	switch {
	case !accepted(d) || served:
		return 0, nil
	case refused != nil:
		return refusedDelay, nil // a kind with its names may be about to go
	}
	return servedDelay, nil
}

// served tells whether this process serves the kind of a definition whose names are accepted, or why it will not.
func (r reconciler) served(d *definition) (bool, error) {
	if !accepted(d) {
		return false, nil
	}
	set := r.Registry.Kinds().Set()
	if k := set.Resource(d.Spec.Group, d.Status.AcceptedNames.Plural); k != nil && k.IsUnstructured() {
		return true, nil
	}
	k, err := customresource.Kind(d, nil)
	if err == nil {
		_, err = set.With(k)
	}
	return false, err
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
