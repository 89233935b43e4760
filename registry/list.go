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
	s, err := parseSelector(k, namespace, o.Labels, o.Fields)
	if err != nil {
		return List{}, err
	}
	l, err := r.cache(k).list(ctx, s, o)
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
	items, sorted, at := c.present(&s)
	l := pageOf(c.kind, items, s, "", o.Limit, at)
	if l.Continue != "" {
		c.keepPage(at, sorted)
	}
	return l, nil
}

// present returns what may match of the state as it is, the whole state in order, and the state's revision. What
// is returned never changes.
func (c *cache) present(s *selector) (items, sorted []*Item, rev int64) {
	term, value, indexed := s.exact()
	c.mu.RLock()
	if len(c.view.dirty) == 0 && (!indexed || c.view.byTerm[term] != nil) {
		defer c.mu.RUnlock()
		return c.presentLocked(s, term, value)
	}
	c.mu.RUnlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.view.flush()
	return c.presentLocked(s, term, value)
}

// presentLocked is present's body; c.mu is held, for writing where the index of term is to be made.
func (c *cache) presentLocked(s *selector, term, value string) (items, sorted []*Item, rev int64) {
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

// owned returns the items that name uid among their owners, in key order.
func (c *cache) owned(uid string) []*Item {
	c.mu.RLock()
	built := c.view.byTerm[ownerTerm] != nil
	if built {
		defer c.mu.RUnlock()
	} else {
		c.mu.RUnlock()
		c.mu.Lock()
		defer c.mu.Unlock()
	}
	items, ok := c.view.lookup(ownerTerm, uid)
	if ok {
		return slices.Clone(items)
	}
	for _, it := range c.view.sorted {
		if slices.Contains(it.owners, uid) {
			items = append(items, it)
		}
	}
	return items
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
			l.Continue = encodeContinue(k, l.Items[limit-1].rest, rev)
		}
		return l
	}
	for _, it := range items {
		if !s.matches(it) {
			continue
		}
		if limit > 0 && int64(len(l.Items)) == limit {
			l.Continue = encodeContinue(k, l.Items[limit-1].rest, rev)
			break
		}
		l.Items = append(l.Items, it)
	}
	return l
}
