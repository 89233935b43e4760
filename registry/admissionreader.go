package registry

import (
	"context"
	"slices"

	"gantry/registry/admit"
	"gantry/registry/store"
	"gantry/schema"
)

// The rules read other objects from what this write has read before, then from the cache, then from etcd where the cache does not have
// them (yet).

var _ admit.Reader = (*admission)(nil)

// Serves is admit.Reader's Serves.
func (a *admission) Serves(group, plural string) bool { return a.kind(group, plural) != nil }

// KindOf is admit.Reader's KindOf.
func (a *admission) KindOf(apiVersion, kind string) *schema.Kind {
	return a.registry.kinds.Set().Kind(apiVersion, kind)
}

// Has is admit.Reader's Has.
func (a *admission) Has(group, plural, namespace string) bool {
	return a.registry.mayHave(group, plural, namespace)
}

// Find is admit.Reader's Find. The last result is remembered: both phases of a rule read the same object.
func (a *admission) Find(ctx context.Context, group, plural, namespace, name string) (admit.Found, error) {
	if f := &a.last; f.Object != nil && a.newer == nil && f.Object.GetName() == name && f.Object.GetNamespace() == namespace && f.Kind.Plural == plural && f.Kind.Group == group {
		return *f, nil
	}
	found, err := a.find(ctx, group, plural, namespace, name, func(t target) (state, error) {
		if st, ok := a.newer[t.key]; ok {
			return st, nil
		}
		if c := a.registry.reads.caches.of(t.kind); c != nil {
			c.start() // later writes read the same kind
		}
		return a.registry.latestKnown(ctx, t)
	})
	a.last = found
	return found, err
}

// Latest is admit.Reader's Latest.
func (a *admission) Latest(ctx context.Context, group, plural, namespace, name string) (admit.Found, error) {
	return a.find(ctx, group, plural, namespace, name, func(t target) (state, error) { return a.registry.read(ctx, t) })
}

func (a *admission) find(ctx context.Context, group, plural, namespace, name string, get func(target) (state, error)) (admit.Found, error) {
	k := a.kind(group, plural)
	if k == nil || !keyable(k, namespace, name) {
		return admit.Found{}, nil
	}
	t := target{k, namespace, name, Key(k, namespace, name)}
	st, err := get(t)
	if err != nil {
		return admit.Found{}, err
	}
	found := admit.Found{Kind: k, Key: t.key, Revision: st.rev}
	if st.item != nil {
		found.Object = st.item.Object()
	}
	return found, nil
}

// List is admit.Reader's List.
func (a *admission) List(ctx context.Context, group, plural, namespace string) ([]schema.Object, error) {
	return a.list(ctx, group, plural, namespace, "0")
}

// ListLatest is admit.Reader's ListLatest.
func (a *admission) ListLatest(ctx context.Context, group, plural, namespace string) ([]schema.Object, error) {
	return a.list(ctx, group, plural, namespace, "")
}

func (a *admission) list(ctx context.Context, group, plural, namespace, resourceVersion string) ([]schema.Object, error) {
	k := a.kind(group, plural)
	if k == nil || namespace != "" && !store.IsSegment(namespace) {
		return nil, nil
	}
	items, err := a.registry.listKnown(ctx, k, namespace, resourceVersion)
	if err != nil {
		return nil, err
	}
	out := make([]schema.Object, len(items))
	for i, it := range items {
		out[i] = it.Object()
	}
	return out, nil
}

// listKnown lists a namespace by the cache, or by the store while the cache is being filled: a write does not wait for that.
func (r *Registry) listKnown(ctx context.Context, k *schema.Kind, namespace, resourceVersion string) ([]*Item, error) {
	if c := r.reads.caches.of(k); c != nil && !c.isFilled() {
		c.start()
		return c.listStored(ctx, namespace)
	}
	list, err := r.List(ctx, k, namespace, ListOptions{ResourceVersion: resourceVersion})
	return list.Items, err
}

func (c *cache) isFilled() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.filled
}

// listStored reads the objects of a namespace ("": all) from the store, without those that cannot be read.
func (c *cache) listStored(ctx context.Context, namespace string) ([]*Item, error) {
	lo, hi := namespaceSpan(namespace)
	end := store.RangeEnd(c.prefix)
	if hi != "" {
		end = c.prefix + hi
	}
	items, _, _, err := c.listPage(ctx, c.prefix+lo, end, 0, 0)
	return slices.DeleteFunc(items, func(it *Item) bool { return it == nil }), err
}

// mayHave tells whether a namespace, or the cluster (""), has an object of a resource, as far as the cache knows; true where it is not filled yet.
func (r *Registry) mayHave(group, plural, namespace string) bool {
	k := r.kinds.Set().Resource(group, plural)
	if k == nil {
		return false
	}
	c := r.reads.caches.of(k)
	if c == nil {
		return false
	}
	c.start()
	return c.mayHave(namespace)
}

func (c *cache) mayHave(namespace string) bool {
	c.mu.RLock()
	filled, n := c.filled, c.view.Len()
	c.mu.RUnlock()
	if !filled || n == 0 {
		return !filled
	}
	defer c.unlock(c.lockSorted(""))
	lo, hi := namespaceSpan(namespace)
	return len(span(c.view.Sorted(), lo, hi)) > 0
}

func (a *admission) kind(group, plural string) *schema.Kind {
	return a.registry.kinds.Set().Resource(group, plural)
}
