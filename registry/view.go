package registry

import (
	"slices"
	"sort"
	"strings"
)

// view is a cache's present state: the items by key, in order, and by what is asked for. Its methods are
// called with the cache's lock held.
type view struct {
	byKey map[string]*Item
	// sorted is the state in key order but for the keys in dirty. It is never changed, only replaced: what was
	// handed out stays as it was.
	sorted []*Item
	dirty  map[string]struct{}
	byTerm map[string]*index
}

// index is the items by one label's, one field's value or by owner. It is made on first use.
type index struct {
	terms func(*Item) []string
	items map[string][]*Item // in key order
}

// maxIndexes bounds what odd selectors can make a cache hold; selectors beyond it are matched item by item.
const maxIndexes = 32

func newView() view {
	return view{byKey: map[string]*Item{}, dirty: map[string]struct{}{}, byTerm: map[string]*index{}}
}

// set puts an item in place of what has its key; nil takes that away.
func (v *view) set(rest string, it *Item) (old *Item) {
	old = v.byKey[rest]
	if it == nil && old == nil {
		return nil
	}
	if it == nil {
		delete(v.byKey, rest)
	} else {
		v.byKey[rest] = it
	}
	v.dirty[rest] = struct{}{}
	for _, x := range v.byTerm {
		x.replace(rest, old, it)
	}
	return old
}

// flush brings sorted up to date.
func (v *view) flush() {
	if len(v.dirty) == 0 {
		return
	}
	keys := make([]string, 0, len(v.dirty))
	for k := range v.dirty {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	out := make([]*Item, 0, len(v.byKey))
	rest := v.sorted
	for _, k := range keys {
		n := sort.Search(len(rest), func(i int) bool { return rest[i].rest >= k })
		out = append(out, rest[:n]...)
		if rest = rest[n:]; len(rest) > 0 && rest[0].rest == k {
			rest = rest[1:]
		}
		if it := v.byKey[k]; it != nil {
			out = append(out, it)
		}
	}
	v.sorted = append(out, rest...)
	clear(v.dirty)
}

// span is the part of items in key order with lo <= key < hi; hi "": to the end.
func span(items []*Item, lo, hi string) []*Item {
	from := sort.Search(len(items), func(i int) bool { return items[i].rest >= lo })
	to := len(items)
	if hi != "" {
		to = sort.Search(len(items), func(i int) bool { return items[i].rest >= hi })
	}
	return items[from:max(from, to):max(from, to)]
}

// namespaceSpan is the range of keys of a namespace; "": of all.
func namespaceSpan(namespace string) (lo, hi string) {
	if namespace == "" {
		return "", ""
	}
	return namespace + "/", namespace + "0" // '0' follows '/'
}

// lookup returns the items that have value under term, in key order, and whether an index could tell.
func (v *view) lookup(term, value string) ([]*Item, bool) {
	x := v.byTerm[term]
	if x == nil {
		if len(v.byTerm) >= maxIndexes && term != ownerTerm {
			return nil, false
		}
		x = v.build(term)
	}
	return x.items[value], true
}

func (v *view) build(term string) *index {
	x := &index{terms: termsOf(term), items: map[string][]*Item{}}
	v.flush()
	for _, it := range v.sorted {
		for _, t := range x.terms(it) {
			x.items[t] = append(x.items[t], it)
		}
	}
	v.byTerm[term] = x
	return x
}

// The terms that an index is made of: "l:app", "f:spec.nodeName", "o".
const (
	labelTerm = "l:"
	fieldTerm = "f:"
	ownerTerm = "o"
)

func termsOf(term string) func(*Item) []string {
	one := func(v string, ok bool) []string {
		if !ok {
			return nil
		}
		return []string{v}
	}
	if key, ok := strings.CutPrefix(term, labelTerm); ok {
		return func(it *Item) []string { return one(it.labels.Lookup(key)) }
	}
	if key, ok := strings.CutPrefix(term, fieldTerm); ok {
		return func(it *Item) []string { return one(it.field(key)) }
	}
	return func(it *Item) []string { return it.owners }
}

func (x *index) replace(rest string, old, it *Item) {
	if old != nil {
		for _, t := range x.terms(old) {
			x.put(t, rest, nil)
		}
	}
	if it != nil {
		for _, t := range x.terms(it) {
			x.put(t, rest, it)
		}
	}
}

func (x *index) put(term, rest string, it *Item) {
	items := x.items[term]
	i, found := slices.BinarySearchFunc(items, rest, func(a *Item, k string) int { return strings.Compare(a.rest, k) })
	switch {
	case found && it != nil:
		items[i] = it
	case found:
		items = slices.Delete(items, i, i+1)
	case it != nil:
		items = slices.Insert(items, i, it)
	}
	if len(items) == 0 {
		delete(x.items, term)
		return
	}
	x.items[term] = items
}
