package registry

import (
	"context"
	"slices"

	"gantry/schema"
)

// List returns a page of objects.
func (r *Registry) List(ctx context.Context, k *schema.Kind, namespace string, o ListOptions) (List, error) {
	if err := validateList(o); err != nil {
		return List{}, err
	}
	s, err := parseSelector(k, o.Version, namespace, o.Labels, o.Fields)
	if err != nil {
		return List{}, err
	}
	c, err := r.cache(k)
	if err != nil {
		return List{}, err
	}
	l, err := c.list(ctx, s, o)
	return l, about(k, "", err)
}

func (c *cache) list(ctx context.Context, s selector, o ListOptions) (List, error) {
	rev, err := parseRevision(c.kind, o.ResourceVersion)
	if err != nil {
		return List{}, err
	}
	if o.Continue != "" {
		return c.listOn(ctx, s, o)
	}
	exact := o.ResourceVersionMatch == "Exact" || o.ResourceVersionMatch == "" && o.Limit > 0 && rev > 0
	if exact {
		return c.listAt(ctx, s, "", o.Limit, rev)
	}
	if _, err := c.freshen(ctx, o.ResourceVersion, rev); err != nil {
		return List{}, err
	}
	items, sorted, at := c.snapshot(&s)
	l := pageOf(c.kind, items, s, "", o.Limit, at)
	if l.Continue != "" {
		c.keepPage(at, sorted)
	}
	return l, nil
}

// snapshot returns what may match of the current state, the whole state in order, and the state's revision. What
// is returned never changes.
func (c *cache) snapshot(s *selector) (items, sorted []*Item, rev int64) {
	term, value, _ := s.exact()
	defer c.unlock(c.lockSorted(term))
	sorted, rev = c.view.sorted, c.rev
	items = sorted
	if term != "" {
		if found, ok := c.view.lookup(term, value); ok {
			items = slices.Clone(found)
		}
	}
	lo, hi := namespaceSpan(s.namespace)
	return span(items, lo, hi), sorted, rev
}

// lockSorted locks the cache with its items in order and, where it may have one, an index of term ("": none is needed). It takes
// the write lock only where there is something to do; unlock needs to know that.
func (c *cache) lockSorted(term string) (write bool) {
	c.mu.RLock()
	lacks := false
	if term != "" {
		_, lacks = c.view.needsIndex(term)
	}
	if c.view.isSorted() && !lacks {
		return false
	}
	c.mu.RUnlock()
	c.mu.Lock()
	c.view.flush()
	if term != "" {
		c.view.ensureIndex(term)
	}
	return true
}

func (c *cache) unlock(write bool) {
	if write {
		c.mu.Unlock()
	} else {
		c.mu.RUnlock()
	}
}

// owned returns the items that name uid among their owners, in key order.
func (c *cache) owned(uid string) []*Item {
	c.mu.RLock()
	if c.view.byTerm[ownerTerm] == nil {
		c.mu.RUnlock()
		c.mu.Lock()
		c.view.ensureIndex(ownerTerm)
		c.mu.Unlock()
		c.mu.RLock()
	}
	defer c.mu.RUnlock()
	items, _ := c.view.lookup(ownerTerm, uid)
	return slices.Clone(items)
}

// pageOf makes a page of items (in key order, of the wanted namespace) after the key start.
func pageOf(k *schema.Kind, items []*Item, s selector, start string, limit, rev int64) List {
	l := List{Revision: rev, Whole: s.all}
	items = span(items, start, "")
	if s.all {
		l.Items = items
		if limit > 0 && int64(len(items)) > limit {
			left := int64(len(items)) - limit
			l.Items, l.Remaining = items[:limit:limit], &left
			l.Continue = encodeContinue(k, l.Items[limit-1].relKey, rev)
		}
		return l
	}
	for _, it := range items {
		if !s.matches(it) {
			continue
		}
		if limit > 0 && int64(len(l.Items)) == limit {
			l.Continue = encodeContinue(k, l.Items[limit-1].relKey, rev)
			break
		}
		l.Items = append(l.Items, it)
	}
	return l
}
