package lifecycle

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
)

// ownerState is what became of an owner.
type ownerState int

const (
	// ownerSolid: the owner exists, or it cannot be known (its kind is not served here).
	ownerSolid ownerState = iota
	// ownerDangling: a consistent read found that it does not exist.
	ownerDangling
	// ownerWaiting: it is being deleted and waits for its dependents to be deleted first.
	ownerWaiting
)

// syncOwned deletes an object that has no owner left, and drops the references to missing owners where others are left.
func (c *garbage) syncOwned(ctx context.Context, k *schema.Kind, obj schema.Object) error {
	var states []ownerState
	for _, ref := range obj.GetOwnerReferences() {
		o, err := c.owner(ctx, k, obj, ref)
		if err != nil {
			return err
		}
		states = append(states, o)
	}
	cycle, dependents := false, false
	if err := c.dependents(ctx, obj.GetUID(), func(_ *schema.Kind, d schema.Object) {
		dependents = true
		cycle = cycle || (d.GetDeletionTimestamp() != nil && hasFinalizer(d, metav1.FinalizerDeleteDependents))
	}); err != nil {
		return err
	}
	plan := planOwned(k, obj, states, dependents, cycle)
	err := c.Execute(ctx, plan)
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	return err
}

// planOwned decides about an object by what became of its owners, in the order of its references. dependents tells that it
// has dependents itself, cycle that one of these waits for its own dependents, of which this object may be one.
func planOwned(k *schema.Kind, obj schema.Object, states []ownerState, dependents, cycle bool) []controller.Action {
	var missing []types.UID
	kept, wait := 0, false
	for i, ref := range obj.GetOwnerReferences() {
		switch states[i] {
		case ownerSolid:
			kept++
		case ownerWaiting:
			wait = true
			fallthrough
		case ownerDangling:
			missing = append(missing, ref.UID)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if kept > 0 {
		return []controller.Action{withoutOwners(k, obj, fmt.Sprintf("%d of its owners are gone, %d are left", len(missing), kept), missing...)}
	}
	options := registry.DeleteOptions{Propagation: string(metav1.DeletePropagationBackground), ResourceVersion: obj.GetResourceVersion()}
	switch {
	case wait && dependents:
		options.Propagation = string(metav1.DeletePropagationForeground)
	case hasFinalizer(obj, metav1.FinalizerOrphanDependents):
		options.Propagation = string(metav1.DeletePropagationOrphan)
	case hasFinalizer(obj, metav1.FinalizerDeleteDependents):
		options.Propagation = string(metav1.DeletePropagationForeground)
	}
	reason := "its owners are gone"
	if wait {
		reason = "its owner is being deleted and waits for it"
	}
	if wait && dependents && cycle {
		// Two objects that own each other would wait for each other for ever: this one no longer blocks its owner.
		c := obj.DeepCopyObject().(schema.Object)
		refs := c.GetOwnerReferences()
		for i := range refs {
			refs[i].BlockOwnerDeletion = nil
		}
		c.SetOwnerReferences(refs)
		return []controller.Action{{Do: controller.Update, Kind: k, Object: c, Reason: "it and its owner own each other"}, {Do: controller.Delete, Kind: k, Object: obj, Reason: reason,
			DeleteOptions: registry.DeleteOptions{Propagation: options.Propagation}}}
	}
	return []controller.Action{{Do: controller.Delete, Kind: k, Object: obj, Reason: reason, DeleteOptions: options}}
}

// owner returns what became of one owner of an object. Only a consistent read counts as evidence that it does not exist.
func (c *garbage) owner(ctx context.Context, k *schema.Kind, obj schema.Object, ref metav1.OwnerReference) (ownerState, error) {
	ok := c.Registry.Kinds().Set().Kind(ref.APIVersion, ref.Kind)
	if ok == nil {
		return ownerSolid, nil
	}
	ns := ""
	if ok.Namespaced {
		if ns = obj.GetNamespace(); ns == "" {
			c.recordInvalidNamespace(k, obj, ref)
			return ownerSolid, nil // a cluster-wide object cannot have a namespaced owner: the reference is ignored
		}
	}
	for _, version := range []string{"0", ""} {
		item, err := c.Registry.Get(ctx, ok, ns, ref.Name, version)
		if err != nil && !errors.Is(err, registry.NotFound) {
			return ownerSolid, fmt.Errorf("looking for owner %s %s: %w", ref.Kind, ref.Name, err)
		}
		if err != nil || item.Object().GetUID() != ref.UID {
			continue
		}
		if o := item.Object(); o.GetDeletionTimestamp() != nil && hasFinalizer(o, metav1.FinalizerDeleteDependents) {
			return ownerWaiting, nil
		}
		return ownerSolid, nil
	}
	if ok.Namespaced {
		if err := c.warnOtherNamespace(ctx, k, obj, ok, ref); err != nil {
			return ownerSolid, err
		}
	}
	return ownerDangling, nil
}

// warnOtherNamespace records an Event where an owner exists in another namespace, which does not count.
func (c *garbage) warnOtherNamespace(ctx context.Context, k *schema.Kind, obj schema.Object, owner *schema.Kind, ref metav1.OwnerReference) error {
	list, err := c.Registry.List(ctx, owner, "", registry.ListOptions{ResourceVersion: "0", Fields: "metadata.name=" + ref.Name})
	if err != nil {
		return fmt.Errorf("looking for owner %s %s in other namespaces: %w", ref.Kind, ref.Name, err)
	}
	for _, it := range list.Items {
		if it.Namespace != obj.GetNamespace() && it.Object().GetUID() == ref.UID {
			c.recordInvalidNamespace(k, obj, ref)
			return nil
		}
	}
	return nil
}

func (c *garbage) recordInvalidNamespace(k *schema.Kind, obj schema.Object, ref metav1.OwnerReference) {
	c.Events.Event(k, obj, "Warning", "OwnerRefInvalidNamespace", "ownerRef [%s/%s, namespace: %s, name: %s, uid: %s] does not exist in namespace %q",
		ref.APIVersion, ref.Kind, obj.GetNamespace(), ref.Name, ref.UID, obj.GetNamespace())
}
