package registry

import (
	"math"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"gantry/registry/selector"
)

// view is a cache's current state: the items by key, in order, and by the indexes of selectors. Its methods are
// called with the cache's lock held.
type view struct {
	byKey map[string]*Item
	// sorted is the state in key order but for the keys in dirty. It is never changed, only replaced: readers keep the old
	// one.
	sorted []*Item
	dirty  map[string]struct{}
	byTerm map[string]*index
}

// index is the items by one label's, one field's value or by owner. It is made on first use.
type index struct {
	terms func(*Item) []string
	items map[string][]*Item // in key order
	used  atomic.Int64       // when last, in unix seconds
}

// maxIndexes bounds the indexes that selectors make a cache keep, besides that by owner. The least recently used one is replaced, but none that was
// used in the last seconds: else selectors in turn would have an index made for every list, under the write lock. Without an index,
// items are matched one by one, which needs no lock.
const (
	maxIndexes  = 32
	indexMinAge = 10 // seconds
)

func newView() view {
	return view{byKey: map[string]*Item{}, dirty: map[string]struct{}{}, byTerm: map[string]*index{}}
}

// set replaces the item of a key; nil removes it.
func (v *view) set(relKey string, it *Item) (old *Item) {
	old = v.byKey[relKey]
	if it == nil && old == nil {
		return nil
	}
	if it == nil {
		delete(v.byKey, relKey)
	} else {
		v.byKey[relKey] = it
	}
	v.dirty[relKey] = struct{}{}
	for _, x := range v.byTerm {
		x.replace(relKey, old, it)
	}
	return old
}

// isSorted tells whether sorted is up to date.
func (v *view) isSorted() bool { return len(v.dirty) == 0 }

// flush brings sorted up to date; the cache's lock is held for writing.
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
	relKey := v.sorted
	for _, k := range keys {
		n := sort.Search(len(relKey), func(i int) bool { return relKey[i].relKey >= k })
		out = append(out, relKey[:n]...)
		if relKey = relKey[n:]; len(relKey) > 0 && relKey[0].relKey == k {
			relKey = relKey[1:]
		}
		if it := v.byKey[k]; it != nil {
			out = append(out, it)
		}
	}
	v.sorted = append(out, relKey...)
	clear(v.dirty)
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

// namespaceSpan is the range of keys of a namespace; "": of all.
func namespaceSpan(namespace string) (lo, hi string) {
	if namespace == "" {
		return "", ""
	}
	return namespace + "/", namespace + "0" // '0' follows '/'
}

// lookup returns the items that have value under term, in key order, and whether there is an index that can tell.
func (v *view) lookup(term, value string) ([]*Item, bool) {
	x := v.byTerm[term]
	if x == nil {
		return nil, false
	}
	if now := time.Now().Unix(); x.used.Load() != now {
		x.used.Store(now)
	}
	return x.items[value], true
}

// needsIndex tells whether there is no index of a term and one may be made; victim is the one to replace.
func (v *view) needsIndex(term string) (victim string, lacks bool) {
	if v.byTerm[term] != nil {
		return "", false
	}
	if term == ownerTerm {
		return "", true
	}
	n, oldest := 0, int64(math.MaxInt64)
	for t, x := range v.byTerm {
		if t == ownerTerm {
			continue
		}
		n++
		if used := x.used.Load(); used < oldest {
			victim, oldest = t, used
		}
	}
	if n < maxIndexes {
		return "", true
	}
	return victim, time.Now().Unix()-oldest > indexMinAge
}

// ensureIndex makes the index of a term where there is none; the cache's lock is held for writing.
func (v *view) ensureIndex(term string) {
	victim, lacks := v.needsIndex(term)
	if !lacks {
		return
	}
	delete(v.byTerm, victim)
	v.byTerm[term] = v.buildIndex(term)
}

func (v *view) buildIndex(term string) *index {
	x := &index{terms: termsOf(term), items: map[string][]*Item{}}
	v.flush()
	for _, it := range v.sorted {
		for _, t := range x.terms(it) {
			x.items[t] = append(x.items[t], it)
		}
	}
	return x
}

// ownerTerm is the term of the index by owner; the others are those of selectors.
const ownerTerm = "o"

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
		return func(it *Item) []string { return one(it.field(key)) }
	}
	return func(it *Item) []string { return it.owners() }
}

func (x *index) replace(relKey string, old, it *Item) {
	if old != nil {
		for _, t := range x.terms(old) {
			x.put(t, relKey, nil)
		}
	}
	if it != nil {
		for _, t := range x.terms(it) {
			x.put(t, relKey, it)
		}
	}
}

func (x *index) put(term, relKey string, it *Item) {
	items := x.items[term]
	i, found := slices.BinarySearchFunc(items, relKey, func(a *Item, k string) int { return strings.Compare(a.relKey, k) })
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
