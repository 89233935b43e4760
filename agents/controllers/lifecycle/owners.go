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
	"gantry/schema/kinds"
)

// owning is what became of an owner.
type owning int

const (
	// present: the owner is there, or nobody can tell (its kind is not served here).
	present owning = iota
	// absent: it is gone for certain.
	absent
	// expecting: it is being deleted and waits for its dependents to go first.
	expecting
)

// judge deletes an object that no owner is left for, and drops the references to lost owners where others are left.
func (c *garbage) judge(ctx context.Context, k *schema.Kind, obj schema.Object) error {
	var found []owning
	for _, ref := range obj.GetOwnerReferences() {
		o, err := c.owner(ctx, k, obj, ref)
		if err != nil {
			return err
		}
		found = append(found, o)
	}
	cycle, dependents := false, false
	if err := c.dependents(ctx, obj.GetUID(), func(_ *schema.Kind, d schema.Object) {
		dependents = true
		cycle = cycle || (d.GetDeletionTimestamp() != nil && hasFinalizer(d, metav1.FinalizerDeleteDependents))
	}); err != nil {
		return err
	}
	plan := planOwned(k, obj, found, dependents, cycle)
	err := c.Execute(ctx, plan)
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	return err
}

// planOwned decides about an object by what became of its owners, in the order of its references. dependents tells that it
// has some itself, cycle that one of these waits for its own, perhaps for this object.
func planOwned(k *schema.Kind, obj schema.Object, found []owning, dependents, cycle bool) []controller.Action {
	var lost []types.UID
	kept, wait := 0, false
	for i, ref := range obj.GetOwnerReferences() {
		switch found[i] {
		case present:
			kept++
		case expecting:
			wait = true
			fallthrough
		case absent:
			lost = append(lost, ref.UID)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	if kept > 0 {
		return []controller.Action{withoutOwners(k, obj, fmt.Sprintf("%d of its owners are gone, %d are left", len(lost), kept), lost...)}
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
		// Two that own each other would wait for each other for ever: this one stops blocking.
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

// owner finds out what became of one owner of an object. Only a consistent read says that it is gone.
func (c *garbage) owner(ctx context.Context, k *schema.Kind, obj schema.Object, ref metav1.OwnerReference) (owning, error) {
	ok := kinds.BuiltIn().Kind(ref.APIVersion, ref.Kind)
	if ok == nil {
		return present, nil
	}
	ns := ""
	if ok.Namespaced {
		if ns = obj.GetNamespace(); ns == "" {
			c.wrongNamespace(k, obj, ref)
			return present, nil // such a reference leads nowhere, and nothing may follow from it
		}
	}
	for _, version := range []string{"0", ""} {
		item, err := c.Registry.Get(ctx, ok, ns, ref.Name, version)
		if err != nil && !errors.Is(err, registry.NotFound) {
			return present, fmt.Errorf("looking for owner %s %s: %w", ref.Kind, ref.Name, err)
		}
		if err != nil || item.Object().GetUID() != ref.UID {
			continue
		}
		if o := item.Object(); o.GetDeletionTimestamp() != nil && hasFinalizer(o, metav1.FinalizerDeleteDependents) {
			return expecting, nil
		}
		return present, nil
	}
	if ok.Namespaced {
		if err := c.elsewhere(ctx, k, obj, ok, ref); err != nil {
			return present, err
		}
	}
	return absent, nil
}

// elsewhere tells the user when an owner is in another namespace, where it does not count.
func (c *garbage) elsewhere(ctx context.Context, k *schema.Kind, obj schema.Object, owner *schema.Kind, ref metav1.OwnerReference) error {
	list, err := c.Registry.List(ctx, owner, "", registry.ListOptions{ResourceVersion: "0", Fields: "metadata.name=" + ref.Name})
	if err != nil {
		return fmt.Errorf("looking for owner %s %s in other namespaces: %w", ref.Kind, ref.Name, err)
	}
	for _, it := range list.Items {
		if it.Namespace != obj.GetNamespace() && it.Object().GetUID() == ref.UID {
			c.wrongNamespace(k, obj, ref)
			return nil
		}
	}
	return nil
}

func (c *garbage) wrongNamespace(k *schema.Kind, obj schema.Object, ref metav1.OwnerReference) {
	c.Events.Event(k, obj, "Warning", "OwnerRefInvalidNamespace", "ownerRef [%s/%s, namespace: %s, name: %s, uid: %s] does not exist in namespace %q",
		ref.APIVersion, ref.Kind, obj.GetNamespace(), ref.Name, ref.UID, obj.GetNamespace())
}
