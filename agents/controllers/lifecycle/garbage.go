package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"
	"k8s.io/utils/ptr"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/extension"
	"gantry/registry"
	"gantry/registry/safely"
	"gantry/schema"
	"gantry/schema/apiregistration"
	"gantry/schema/coordination"
	"gantry/schema/core"
)

// garbage follows owner references. Its keys are "object <prefix> <namespace> <name>", an object whose owners or dependents are to be
// looked up, and "owner <uid>", an owner that is gone: its dependents are enqueued.
type garbage struct {
	*controller.Env
	extensions *extensionObjects
	mu         sync.Mutex // guards waiting
	// waiting are the keys of the owners that are being deleted and wait for their dependents.
	waiting map[types.UID]string
	absent  *lru.Cache // owners that were last found not to exist: absentOwner by uid
	deleted *lru.Cache // uids of objects that were seen to go while their kind was served: it may go before their dependents
}

// maxAbsent is how many owners that are gone are remembered.
const maxAbsent = 500

// NewGarbage is the garbage collector: it deletes objects without owners, and finishes the foreground and orphaning deletion of owners. Those of
// extension servers it knows through gateway.
func NewGarbage(gateway controller.Gateway) func(*controller.Env) controller.Reconciler {
	return func(e *controller.Env) controller.Reconciler {
		c := &garbage{Env: e, waiting: map[types.UID]string{}, absent: lru.New(maxAbsent), deleted: lru.New(maxAbsent)}
		c.extensions = newExtensionObjects(&extension.Client{Registry: e.Registry, Gateway: gateway}, c)
		return controller.Reconciler{
			Reconcile: c.reconcile, Run: c.extensions.run,
			WatchEvery: func(k *schema.Kind) func(old, current schema.Object) {
				return func(old, current schema.Object) {
					c.onChange(k, old, current)
					if k == apiregistration.APIService {
						c.extensions.rediscover()
					}
				}
			},
		}
	}
}

// objectKey is the key of an object; k is nil for one of an extension server.
func objectKey(k *schema.Kind, obj metav1.Object) string {
	if k == nil {
		return extensionKey + string(obj.GetUID())
	}
	return "object " + k.Prefix + " " + obj.GetNamespace() + " " + obj.GetName()
}

// onChange turns the change of an object of any kind into keys; k is nil for one of an extension server.
func (c *garbage) onChange(k *schema.Kind, old, current schema.Object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old != nil && (current == nil || old.GetUID() != current.GetUID()) {
		delete(c.waiting, old.GetUID())
		if k != core.Event && k != coordination.Lease { // they own nothing
			c.Enqueue("owner "+string(old.GetUID()), 0)
			if k == nil || c.Registry.Kinds().Set().Has(k) {
				c.deleted.Add(old.GetUID(), nil)
			}
		}
	}
	changed := old == nil || current == nil || !equality.Semantic.DeepEqual(old.GetOwnerReferences(), current.GetOwnerReferences())
	if changed && old != nil {
		for _, ref := range old.GetOwnerReferences() {
			if key, ok := c.waiting[ref.UID]; ok {
				c.Enqueue(key, controller.CoalesceDelay)
			}
		}
	}
	if current == nil {
		return
	}
	if old == nil || old.GetUID() != current.GetUID() {
		c.absent.Remove(current.GetUID()) // somebody has put it back
		c.deleted.Remove(current.GetUID())
	}
	if waitsForDependents(current) {
		c.waiting[current.GetUID()] = objectKey(k, current)
		c.Enqueue(objectKey(k, current), 0)
	} else if changed && len(current.GetOwnerReferences()) > 0 {
		c.Enqueue(objectKey(k, current), 0)
	}
}

// waitsForDependents returns whether an object is being deleted and stays until its dependents are orphaned or deleted.
func waitsForDependents(obj metav1.Object) bool {
	return obj.GetDeletionTimestamp() != nil && (hasFinalizer(obj, metav1.FinalizerOrphanDependents) || hasFinalizer(obj, metav1.FinalizerDeleteDependents))
}

func hasFinalizer(obj metav1.Object, f string) bool { return slices.Contains(obj.GetFinalizers(), f) }

func (c *garbage) reconcile(ctx context.Context, key string) (time.Duration, error) {
	if uid, ok := strings.CutPrefix(key, "owner "); ok {
		return 0, c.dependents(ctx, types.UID(uid), func(k *schema.Kind, obj schema.Object) { c.Enqueue(objectKey(k, obj), 0) })
	}
	if uid, ok := strings.CutPrefix(key, extensionKey); ok {
		return c.reconcileExtension(ctx, types.UID(uid))
	}
	f := strings.Split(key, " ")
	k, _, _, ok := c.Registry.Kinds().Set().Key(f[1] + "/")
	if !ok {
		return 0, nil
	}
	item, err := c.Registry.Get(ctx, k, f[2], f[3], "0")
	if errors.Is(err, registry.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	obj := item.Object()
	if waitsForDependents(obj) {
		return 0, c.finalize(ctx, k, obj)
	}
	if obj.GetDeletionTimestamp() != nil || len(obj.GetOwnerReferences()) == 0 {
		return 0, nil
	}
	return c.askAgain(c.syncOwned(ctx, k, obj))
}

// dependents calls f for every object that names uid among its owners, as the caches know it; k is nil for those of extension servers.
func (c *garbage) dependents(ctx context.Context, uid types.UID, f func(k *schema.Kind, obj schema.Object)) error {
	for _, k := range c.Registry.Kinds().Set().All {
		items, err := c.Registry.Owned(ctx, k, string(uid))
		if err != nil && !controller.NotServed(err) {
			return fmt.Errorf("finding dependents among %s: %w", k.Plural, err)
		}
		for _, it := range items {
			f(k, it.Object())
		}
	}
	for _, obj := range c.extensions.owned(uid) {
		f(nil, obj)
	}
	return nil
}

// finalize orphans the dependents of an object being deleted, or waits until those that block it are deleted, and then removes the
// finalizer.
func (c *garbage) finalize(ctx context.Context, k *schema.Kind, obj schema.Object) error {
	if err := c.catchUp(ctx, obj.GetNamespace()); err != nil {
		return err
	}
	var plan []controller.Action
	blocked := false
	orphan := hasFinalizer(obj, metav1.FinalizerOrphanDependents)
	err := c.dependents(ctx, obj.GetUID(), func(dk *schema.Kind, d schema.Object) {
		switch {
		case orphan:
			plan = append(plan, withoutOwners(dk, d, "its owner is deleted and orphans it", obj.GetUID()))
		case blocks(d, obj.GetUID()):
			blocked = true
			fallthrough
		default:
			c.Enqueue(objectKey(dk, d), 0)
		}
	})
	if err != nil || blocked {
		return err
	}
	finalizer := metav1.FinalizerDeleteDependents
	if orphan {
		finalizer = metav1.FinalizerOrphanDependents
	}
	next := obj.DeepCopyObject().(schema.Object)
	next.SetFinalizers(slices.DeleteFunc(next.GetFinalizers(), func(f string) bool { return f == finalizer }))
	plan = append(plan, controller.Action{Do: controller.Update, Kind: k, Object: next, Reason: "nothing depends on it any more"})
	err = c.execute(ctx, plan)
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	return err
}

// catchUp brings the caches of all kinds up to now by consistent reads: a dependent made a moment ago must not be missed. Reads that run side by
// side share their round trips to the store.
func (c *garbage) catchUp(ctx context.Context, namespace string) error {
	g, ctx := safely.WithContext(ctx)
	g.SetLimit(parallelReads)
	for _, k := range c.Registry.Kinds().Set().All {
		g.Go(func() error {
			if _, err := c.Registry.List(ctx, k, namespace, registry.ListOptions{Limit: 1}); err != nil && !controller.NotServed(err) {
				return fmt.Errorf("catching up with %s: %w", k.Plural, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// parallelReads is how many kinds are read at a time.
const parallelReads = 16

func blocks(obj metav1.Object, owner types.UID) bool {
	return slices.ContainsFunc(obj.GetOwnerReferences(), func(r metav1.OwnerReference) bool {
		return r.UID == owner && ptr.Deref(r.BlockOwnerDeletion, false)
	})
}

func withoutOwners(k *schema.Kind, obj schema.Object, reason string, owners ...types.UID) controller.Action {
	c := obj.DeepCopyObject().(schema.Object)
	c.SetOwnerReferences(slices.DeleteFunc(c.GetOwnerReferences(), func(r metav1.OwnerReference) bool { return slices.Contains(owners, r.UID) }))
	return controller.Action{Do: controller.Update, Kind: k, Object: c, Reason: reason}
}
