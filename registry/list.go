package registry

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"gantry/registry/deflate"
	"gantry/registry/index"
	"gantry/registry/selector"
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

// parseSelector reads a selector's texts; BadRequest where one cannot be understood.
func parseSelector(k *schema.Kind, v *schema.Version, namespace, labelText, fieldText string) (selector.Selector, error) {
	s, err := selector.Parse(k, v, namespace, labelText, fieldText)
	if err != nil {
		return s, badRequest(k, err.Error())
	}
	return s, nil
}

// Select returns those of items that are of a namespace ("": any) and match the selectors of o.
func Select(k *schema.Kind, namespace string, o ListOptions, items []*Item) ([]*Item, error) {
	s, err := parseSelector(k, o.Version, namespace, o.Labels, o.Fields)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(items), func(it *Item) bool {
		return namespace != "" && it.Namespace != namespace || !selects(&s, it)
	}), nil
}

// selectable is an item as a selector sees it.
type selectable struct {
	*Item
	version *schema.Version // that of the selector; nil: the item's own
}

// selects tells whether a selector selects an item, which has been converted for it.
func selects(s *selector.Selector, it *Item) bool { return s.Matches(selectable{it, s.Version}) }

// convertFor converts items that a selector is to be asked about, where it reads them in a version. Items that are nil are skipped.
func convertFor(ctx context.Context, s *selector.Selector, items []*Item) error {
	if s.Version == nil {
		return nil
	}
	return ConvertItems(ctx, slices.DeleteFunc(slices.Clone(items), func(it *Item) bool { return it == nil }), s.Version)
}

// Names are the object's namespace and name.
func (s selectable) Names() (namespace, name string) { return s.Namespace, s.Name }

// Labels are the object's labels.
func (s selectable) Labels() labels.Labels { return s.labels() }

// Field is the value of one of the fields of the version.
func (s selectable) Field(path string) (value string, ok bool) {
	if s.version == nil {
		return fieldOf(s.Item.Version(), s.fields(), path)
	}
	return s.fieldIn(s.version, path)
}

// ownerTerm is the term of the index by owner; the others are those of selectors.
const ownerTerm = "o"

// newView is an empty state of a cache.
func newView() index.View[Item] {
	return index.New(func(it *Item) string { return it.relKey }, termsOf, ownerTerm)
}

func termsOf(term string) func(*Item) []string {
	one := func(v string, ok bool) []string {
		if !ok {
			return nil
		}
		return []string{v}
	}
	if key, ok := strings.CutPrefix(term, selector.LabelTerm); ok {
		return func(it *Item) []string { return one(it.labels().Lookup(key)) }
	}
	if key, ok := strings.CutPrefix(term, selector.FieldTerm); ok {
		return func(it *Item) []string { return one(fieldOf(it.Version(), it.fields(), key)) }
	}
	return func(it *Item) []string { return it.owners() }
}

func (c *cache) list(ctx context.Context, s selector.Selector, o ListOptions) (List, error) {
	rev, err := parseNumber(o.ResourceVersion)
	if err != nil {
		return List{}, badRequest(c.kind, fmt.Sprintf("invalid resource version: resourceVersion: Invalid value: %q: %v", o.ResourceVersion, err))
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
	l, err := c.pageOf(ctx, items, s, "", o.Limit, at)
	if err != nil {
		return List{}, err
	}
	if l.Continue != "" {
		c.keepPage(at, sorted)
	}
	return l, nil
}

// snapshot returns what may match of the current state, the whole state in order, and the state's revision. What
// is returned never changes.
func (c *cache) snapshot(s *selector.Selector) (items, sorted []*Item, rev int64) {
	term, value, _ := s.Exact()
	defer c.unlock(c.lockSorted(term))
	sorted, rev = c.view.Sorted(), c.rev
	items = sorted
	if term != "" {
		if found, ok := c.view.Lookup(term, value); ok {
			items = slices.Clone(found)
		}
	}
	lo, hi := namespaceSpan(s.Namespace)
	return span(items, lo, hi), sorted, rev
}

// lockSorted locks the cache with its items in order and, where it may have one, an index of term ("": none is needed). It takes
// the write lock only where there is something to do; unlock needs to know that.
func (c *cache) lockSorted(term string) (write bool) {
	c.mu.RLock()
	lacks := false
	if term != "" {
		lacks = c.view.Needs(term)
	}
	if c.view.IsSorted() && !lacks {
		return false
	}
	c.mu.RUnlock()
	c.mu.Lock()
	c.view.Flush()
	if term != "" {
		c.view.Ensure(term)
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
	if !c.view.Has(ownerTerm) {
		c.mu.RUnlock()
		c.mu.Lock()
		c.view.Ensure(ownerTerm)
		c.mu.Unlock()
		c.mu.RLock()
	}
	defer c.mu.RUnlock()
	items, _ := c.view.Lookup(ownerTerm, uid)
	return slices.Clone(items)
}

// span is the part of items in key order with lo <= key < hi; hi "": to the end.
func span(items []*Item, lo, hi string) []*Item {
	from := sort.Search(len(items), func(i int) bool { return items[i].relKey >= lo })
	to := len(items)
	if hi != "" {
		to = sort.Search(len(items), func(i int) bool { return items[i].relKey >= hi })
	}
	return items[from:max(from, to):max(from, to)]
}

// pageOf is pageOf of items that are converted for the selector.
func (c *cache) pageOf(ctx context.Context, items []*Item, s selector.Selector, start string, limit, rev int64) (List, error) {
	if err := convertFor(ctx, &s, span(items, start, "")); err != nil {
		return List{}, err
	}
	return pageOf(c.kind, items, s, start, limit, rev), nil
}

// pageOf makes a page of items (in key order, of the wanted namespace) after the key start.
func pageOf(k *schema.Kind, items []*Item, s selector.Selector, start string, limit, rev int64) List {
	l := List{Revision: rev, Whole: s.All}
	items = span(items, start, "")
	if s.All {
		l.Items = items
		if limit > 0 && int64(len(items)) > limit {
			left := int64(len(items)) - limit
			l.Items, l.Remaining = items[:limit:limit], &left
			l.Continue = encodeContinue(k, l.Items[limit-1].relKey, rev)
		}
		return l
	}
	for _, it := range items {
		if !selects(&s, it) {
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

// Blocks returns the deflated text of the list's items in order; a comma belongs between two blocks. It pays where Whole is
// set: other lists' blocks are not kept.
func (l List) Blocks() []*deflate.Block {
	blocks := make([]*deflate.Block, 0, len(l.Items)/deflate.Mean+2)
	for rest := l.Items; len(rest) > 0; {
		n := deflate.Length(len(rest), func(i int) string { return rest[i].relKey })
		// The last one may be cut short by the end of a page: nothing to keep.
		blocks = append(blocks, blockOf(rest[:n], l.Whole && (n < len(rest) || l.Continue == "")))
		rest = rest[n:]
	}
	return blocks
}

// keptBlock is a block that is kept at the first of its items.
type keptBlock struct {
	*deflate.Block
	items []uint64 // Item.serial of each
}

// blockOf is the block of items, which is kept at the first of them.
func blockOf(items []*Item, keep bool) *deflate.Block {
	kept := items[0].block.Load()
	if keep && kept != nil && slices.EqualFunc(kept.items, items, func(n uint64, it *Item) bool { return n == it.serial }) {
		return kept.Block
	}
	b := deflate.Join(len(items), func(i int) []byte { return items[i].JSON })
	if keep {
		serials := make([]uint64, len(items))
		for i, it := range items {
			serials[i] = it.serial
		}
		items[0].block.Store(&keptBlock{b, serials})
	}
	return b
}
