package controller

import (
	"context"
	"fmt"

	"gantry/agents/controllers/vanished"
	"gantry/registry"
	"gantry/registry/admit"
	"gantry/registry/bynode"
	"gantry/schema"
	"gantry/schema/core"
)

// Registry is the registry as a controller sees it: it refuses kinds that the controller's row does not declare. Use it with
// registry.For as any other.
type Registry struct {
	registry *registry.Registry
	row      *Controller
	// undeclared is called for every refusal.
	undeclared func(error)
	// vanished are pods that are read as if they existed; nil: none.
	vanished *vanished.Pods
}

// Restrict returns r for the kinds that row declares, with pods that have vanished (nil: none). undeclared is called for every read and write of other
// kinds, which is refused.
func Restrict(r *registry.Registry, row *Controller, pods *vanished.Pods, undeclared func(error)) *Registry {
	return &Registry{r, row, undeclared, pods}
}

var _ registry.Objects = (*Registry)(nil)

func (r *Registry) mayRead(k *schema.Kind) error {
	if r.row.Reads.Has(k) {
		return nil
	}
	return r.refuse("read", k)
}

func (r *Registry) mayWrite(k *schema.Kind) error {
	if r.row.Writes.Has(k) {
		return nil
	}
	return r.refuse("write", k)
}

func (r *Registry) refuse(verb string, k *schema.Kind) error {
	err := fmt.Errorf("controller %s does not declare that it %ss %s", r.row.Name, verb, k.Plural)
	r.undeclared(err)
	return err
}

// Kinds are the kinds that are served.
func (r *Registry) Kinds() *schema.Kinds { return r.registry.Kinds() }

// Get is registry.Get.
func (r *Registry) Get(ctx context.Context, k *schema.Kind, namespace, name, resourceVersion string) (*registry.Item, error) {
	if err := r.mayRead(k); err != nil {
		return nil, err
	}
	read := func() (*registry.Item, error) { return r.registry.Get(ctx, k, namespace, name, resourceVersion) }
	if k == core.Pod && r.vanished != nil {
		return r.vanished.Get(namespace, name, read)
	}
	return read()
}

// List is registry.List.
func (r *Registry) List(ctx context.Context, k *schema.Kind, namespace string, o registry.ListOptions) (registry.List, error) {
	if err := r.mayRead(k); err != nil {
		return registry.List{}, err
	}
	read := func() (registry.List, error) { return r.registry.List(ctx, k, namespace, o) }
	if k == core.Pod && r.vanished != nil {
		return r.vanished.List(namespace, o, read)
	}
	return read()
}

// Owned is registry.Owned.
func (r *Registry) Owned(ctx context.Context, k *schema.Kind, uid string) ([]*registry.Item, error) {
	if err := r.mayRead(k); err != nil {
		return nil, err
	}
	read := func() ([]*registry.Item, error) { return r.registry.Owned(ctx, k, uid) }
	if k == core.Pod && r.vanished != nil {
		return r.vanished.Owned(uid, read)
	}
	return read()
}

// Follow is registry.Follow.
func (r *Registry) Follow(ctx context.Context, k *schema.Kind, f func(registry.Change)) error {
	if err := r.mayRead(k); err != nil {
		return err
	}
	return r.registry.Follow(ctx, k, f)
}

// Create is registry.Create.
func (r *Registry) Create(ctx context.Context, k *schema.Kind, obj schema.Object, o registry.WriteOptions) (*registry.Item, error) {
	if err := r.mayWrite(k); err != nil {
		return nil, err
	}
	return r.registry.Create(ctx, k, obj, o)
}

// Update is registry.Update.
func (r *Registry) Update(ctx context.Context, k *schema.Kind, obj schema.Object, o registry.WriteOptions) (*registry.Item, error) {
	if err := r.mayWrite(k); err != nil {
		return nil, err
	}
	return r.registry.Update(ctx, k, obj, o)
}

// Modify is registry.Modify.
func (r *Registry) Modify(ctx context.Context, k *schema.Kind, namespace, name string, change func(schema.Object) (schema.Object, error), o registry.WriteOptions) (*registry.Item, error) {
	if err := r.mayWrite(k); err != nil {
		return nil, err
	}
	return r.registry.Modify(ctx, k, namespace, name, change, o)
}

// Delete is registry.Delete.
func (r *Registry) Delete(ctx context.Context, k *schema.Kind, namespace, name string, o registry.DeleteOptions) (*registry.Item, bool, error) {
	if err := r.mayWrite(k); err != nil {
		return nil, false, err
	}
	return r.registry.Delete(ctx, k, namespace, name, o)
}

// RepairByNode is registry.RepairByNode: it writes no object, only the copies of pods that nodes read and the record of a hold. The pods that
// vanished are those that controllers read as if they existed.
func (r *Registry) RepairByNode(ctx context.Context, o bynode.Observer) error {
	if err := r.mayRead(core.Pod); err != nil {
		return err
	}
	o.Gone = r.vanished.Gone
	return r.registry.RepairByNode(ctx, r.vanished.Copies(), o, r.vanished.Listed)
}

// RepairClaims is registry.RepairClaims: it writes no object, only the keys that claim addresses and ports.
func (r *Registry) RepairClaims(ctx context.Context) error {
	if err := r.mayRead(core.Service); err != nil {
		return err
	}
	return r.registry.RepairClaims(ctx)
}

// RuleKey is registry.RuleKey.
func (r *Registry) RuleKey(ctx context.Context, key admit.Key) (_ admit.KV, at int64, err error) {
	return r.registry.RuleKey(ctx, key)
}

// RuleKeys is registry.RuleKeys.
func (r *Registry) RuleKeys(ctx context.Context, rule string) ([]string, error) {
	return r.registry.RuleKeys(ctx, rule)
}

// ReplaceRuleKey is registry.ReplaceRuleKey: it writes no object.
func (r *Registry) ReplaceRuleKey(ctx context.Context, kv admit.KV, value []byte) (admit.KV, error) {
	return r.registry.ReplaceRuleKey(ctx, kv, value)
}

// Observed waits until the cache of k shows revision.
func (r *Registry) Observed(ctx context.Context, k *schema.Kind, revision int64) error {
	if err := r.mayRead(k); err != nil {
		return err
	}
	return r.registry.Observed(ctx, k, revision)
}

// observed waits until the cache of k shows revision.
func (r *Registry) observed(ctx context.Context, k *schema.Kind, revision int64) error {
	return r.registry.Observed(ctx, k, revision)
}
