package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"strconv"

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
	err := c.execute(ctx, plan)
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	return err
}

// planOwned decides about an object by what became of its owners, in the order of its references. dependents: it has dependents
// itself; cycle: one of these waits for its own dependents, of which this object may be one.
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

// ownerID is an owner as a dependent names it: one of its uid in another namespace or of another name is not it.
type ownerID struct {
	apiVersion, kind, namespace, name string
	uid                               types.UID
}

// absentOwner is an owner that did not exist at a revision of the store. It spares the consistent read for what depended on it then;
// what was written later may have been put back together with its owner.
type absentOwner struct {
	ownerID
	revision  int64
	elsewhere bool // one of its uid exists in another namespace, which does not count
}

// owner returns what became of one owner of an object. Only a consistent read counts as evidence that it does not exist.
func (c *garbage) owner(ctx context.Context, k *schema.Kind, obj schema.Object, ref metav1.OwnerReference) (ownerState, error) {
	ok := c.Registry.Kinds().Set().Kind(ref.APIVersion, ref.Kind)
	if ok == nil {
		if _, gone := c.deleted.Get(ref.UID); gone {
			return ownerDangling, nil
		}
		return c.extensionOwner(ctx, k, obj, ref)
	}
	id := ownerID{apiVersion: ref.APIVersion, kind: ref.Kind, name: ref.Name, uid: ref.UID}
	if ok.Namespaced {
		if id.namespace = obj.GetNamespace(); id.namespace == "" {
			c.recordInvalidNamespace(k, obj, ref)
			return ownerSolid, nil // a cluster-wide object cannot have a namespaced owner: the reference is ignored
		}
	}
	absent, known := c.knownAbsent(id, obj)
	if !known {
		var state ownerState
		var err error
		if state, absent, err = c.findOwner(ctx, ok, id); err != nil || state != ownerDangling {
			return state, err
		}
		c.absent.Add(id.uid, absent)
	}
	if absent.elsewhere {
		c.recordInvalidNamespace(k, obj, ref)
	}
	return ownerDangling, nil
}

func (c *garbage) knownAbsent(id ownerID, dependent schema.Object) (absentOwner, bool) {
	v, ok := c.absent.Get(id.uid)
	if !ok {
		return absentOwner{}, false
	}
	absent := v.(absentOwner)
	revision, err := strconv.ParseInt(dependent.GetResourceVersion(), 10, 64)
	return absent, err == nil && absent.ownerID == id && revision <= absent.revision
}

// findOwner looks for an owner in the cache, and by a consistent read where that does not know it.
func (c *garbage) findOwner(ctx context.Context, k *schema.Kind, id ownerID) (ownerState, absentOwner, error) {
	item, err := c.Registry.Get(ctx, k, id.namespace, id.name, "0")
	if err == nil && item.Object().GetUID() == id.uid {
		return stateOf(item.Object()), absentOwner{}, nil
	}
	if err != nil && !errors.Is(err, registry.NotFound) && !controller.NotServed(err) {
		return ownerSolid, absentOwner{}, fmt.Errorf("getting owner %s %s: %w", id.kind, id.name, err)
	}
	list, err := c.Registry.List(ctx, k, "", registry.ListOptions{Fields: "metadata.name=" + id.name})
	if controller.NotServed(err) {
		return ownerSolid, absentOwner{}, nil
	}
	if err != nil {
		return ownerSolid, absentOwner{}, fmt.Errorf("looking for owner %s %s: %w", id.kind, id.name, err)
	}
	absent := absentOwner{ownerID: id, revision: list.Revision}
	for _, it := range list.Items {
		switch {
		case it.Object().GetUID() != id.uid:
		case it.Namespace == id.namespace:
			return stateOf(it.Object()), absentOwner{}, nil
		default:
			absent.elsewhere = true
		}
	}
	return ownerDangling, absent, nil
}

// stateOf is the state of an owner that exists.
func stateOf(owner metav1.Object) ownerState {
	if owner.GetDeletionTimestamp() != nil && hasFinalizer(owner, metav1.FinalizerDeleteDependents) {
		return ownerWaiting
	}
	return ownerSolid
}

func (c *garbage) recordInvalidNamespace(k *schema.Kind, obj schema.Object, ref metav1.OwnerReference) {
	if k == nil {
		return // an extension server's: its object is not in the registry, which the Event would be about
	}
	c.Events.Event(k, obj, "Warning", "OwnerRefInvalidNamespace", "ownerRef [%s/%s, namespace: %s, name: %s, uid: %s] does not exist in namespace %q",
		ref.APIVersion, ref.Kind, obj.GetNamespace(), ref.Name, ref.UID, obj.GetNamespace())
}
