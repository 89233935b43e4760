// Package index keeps values in the order of their keys, and finds those that have a value under a term: a label, a field, an owner.
package index

import (
	"iter"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
	"time"
)

// View is the current state of a cache: its values by key, in order, and by terms. It has no lock of its own: Set, Flush and Ensure need its
// owner's lock for writing, all others for reading.
type View[T any] struct {
	keyOf   func(*T) string
	termsOf func(term string) func(*T) []string
	// permanent is the term whose index, once made, is not replaced.
	permanent string

	byKey map[string]*T
	// sorted is the state in key order but for the keys in dirty. It is never changed, only replaced: readers keep the old
	// one.
	sorted []*T
	dirty  map[string]struct{}
	byTerm map[string]*terms[T]
}

// terms are the values by what they have under one term. They are made on first use.
type terms[T any] struct {
	of    func(*T) []string
	items map[string][]*T // in key order
	used  atomic.Int64    // when last, in unix seconds
}

// maxTerms bounds the terms that have an index, besides the permanent one. The least recently used index is replaced, but none that was
// used in the last seconds: else terms in turn would have an index made for every look-up, under the write lock. Values are found without
// an index as well, one by one, which needs no lock.
const (
	maxTerms = 32
	minAge   = 10 // seconds
)

// New returns an empty View. keyOf is a value's key; termsOf returns what a value has under a term, without duplicates.
func New[T any](keyOf func(*T) string, termsOf func(term string) func(*T) []string, permanent string) View[T] {
	return View[T]{
		keyOf: keyOf, termsOf: termsOf, permanent: permanent,
		byKey: map[string]*T{}, dirty: map[string]struct{}{}, byTerm: map[string]*terms[T]{},
	}
}

// Get returns the value of a key; nil: there is none.
func (v *View[T]) Get(key string) *T { return v.byKey[key] }

// Len is the number of values.
func (v *View[T]) Len() int { return len(v.byKey) }

// All are the values in no order.
func (v *View[T]) All() iter.Seq2[string, *T] { return maps.All(v.byKey) }

// Set replaces the value of a key and returns the old one; nil removes it.
func (v *View[T]) Set(key string, it *T) (old *T) {
	old = v.byKey[key]
	if it == nil && old == nil {
		return nil
	}
	if it == nil {
		delete(v.byKey, key)
	} else {
		v.byKey[key] = it
	}
	v.dirty[key] = struct{}{}
	for _, x := range v.byTerm {
		v.replace(x, key, old, it)
	}
	return old
}

// IsSorted tells whether Sorted is up to date.
func (v *View[T]) IsSorted() bool { return len(v.dirty) == 0 }

// Sorted are the values in key order as of the last Flush. The slice never changes.
func (v *View[T]) Sorted() []*T { return v.sorted }

// Flush brings Sorted up to date.
func (v *View[T]) Flush() {
	if len(v.dirty) == 0 {
		return
	}
	keys := slices.Sorted(maps.Keys(v.dirty))
	out := make([]*T, 0, len(v.byKey))
	rest := v.sorted
	for _, k := range keys {
		n := sort.Search(len(rest), func(i int) bool { return v.keyOf(rest[i]) >= k })
		out = append(out, rest[:n]...)
		if rest = rest[n:]; len(rest) > 0 && v.keyOf(rest[0]) == k {
			rest = rest[1:]
		}
		if it := v.byKey[k]; it != nil {
			out = append(out, it)
		}
	}
	v.sorted = append(out, rest...)
	clear(v.dirty)
}

// Lookup returns the values that have value under term, in key order, and whether there is an index that can tell. The slice changes
// with the next Set.
func (v *View[T]) Lookup(term, value string) ([]*T, bool) {
	x := v.byTerm[term]
	if x == nil {
		return nil, false
	}
	if now := time.Now().Unix(); x.used.Load() != now {
		x.used.Store(now)
	}
	return x.items[value], true
}

// Has tells whether there is an index of a term.
func (v *View[T]) Has(term string) bool { return v.byTerm[term] != nil }

// Needs tells whether there is no index of a term and one may be made.
func (v *View[T]) Needs(term string) bool {
	_, needs := v.victim(term)
	return needs
}

// victim is Needs with the term whose index the new one replaces; "": none.
func (v *View[T]) victim(term string) (victim string, needs bool) {
	if v.Has(term) {
		return "", false
	}
	if term == v.permanent {
		return "", true
	}
	n, oldest := 0, int64(math.MaxInt64)
	for t, x := range v.byTerm {
		if t == v.permanent {
			continue
		}
		n++
		if used := x.used.Load(); used < oldest {
			victim, oldest = t, used
		}
	}
	if n < maxTerms {
		return "", true
	}
	return victim, time.Now().Unix()-oldest > minAge
}

// Ensure makes the index of a term where it Needs one.
func (v *View[T]) Ensure(term string) {
	victim, needs := v.victim(term)
	if !needs {
		return
	}
	delete(v.byTerm, victim)
	x := &terms[T]{of: v.termsOf(term), items: map[string][]*T{}}
	v.Flush()
	for _, it := range v.sorted {
		for _, t := range x.of(it) {
			x.items[t] = append(x.items[t], it)
		}
	}
	v.byTerm[term] = x
}

func (v *View[T]) replace(x *terms[T], key string, old, it *T) {
	if old != nil {
		for _, t := range x.of(old) {
			v.put(x, t, key, nil)
		}
	}
	if it != nil {
		for _, t := range x.of(it) {
			v.put(x, t, key, it)
		}
	}
}

func (v *View[T]) put(x *terms[T], value, key string, it *T) {
	items := x.items[value]
	i, found := slices.BinarySearchFunc(items, key, func(a *T, k string) int { return strings.Compare(v.keyOf(a), k) })
	switch {
	case found && it != nil:
		items[i] = it
	case found:
		items = slices.Delete(items, i, i+1)
	case it != nil:
		items = slices.Insert(items, i, it)
	}
	if len(items) == 0 {
		delete(x.items, value)
		return
	}
	x.items[value] = items
}
