package index

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// object has the values of its letter under the term of that letter: {"k", "a1 b2"} has "1" under "a".
type object struct{ key, terms string }

func newView() View[object] {
	return New(func(o *object) string { return o.key }, func(term string) func(*object) []string {
		return func(o *object) (values []string) {
			for _, t := range strings.Fields(o.terms) {
				if value, ok := strings.CutPrefix(t, term); ok {
					values = append(values, value)
				}
			}
			return values
		}
	}, "owner")
}

func keysOf(objects []*object) (keys []string) {
	for _, o := range objects {
		keys = append(keys, o.key)
	}
	return keys
}

// TestStateOfRandomChanges compares a View with a map after each of many changes.
func TestStateOfRandomChanges(t *testing.T) {
	v, want, random := newView(), map[string]*object{}, rand.New(rand.NewSource(1))
	v.Ensure("a")
	for n := range 2000 {
		key := fmt.Sprintf("k%02d", random.Intn(60))
		o := &object{key, fmt.Sprintf("a%d a%d", random.Intn(3), 3+random.Intn(3))}
		if random.Intn(3) == 0 {
			o = nil
		}
		if old := v.Set(key, o); old != want[key] {
			t.Fatalf("%d: Set returned %v, want %v", n, old, want[key])
		}
		if want[key] = o; o == nil {
			delete(want, key)
		}
		if random.Intn(4) > 0 {
			continue
		}
		before := v.Sorted()
		kept := keysOf(before)
		v.Flush()
		if !slices.Equal(keysOf(before), kept) {
			t.Fatalf("%d: Flush changed the slice that a reader has", n)
		}
		var all, ones []string
		for key, o := range want {
			if all = append(all, key); strings.Contains(o.terms, "a1") {
				ones = append(ones, key)
			}
		}
		slices.Sort(all)
		slices.Sort(ones)
		found, ok := v.Lookup("a", "1")
		if !v.IsSorted() || !slices.Equal(keysOf(v.Sorted()), all) || v.Len() != len(all) || !ok || !slices.Equal(keysOf(found), ones) {
			t.Fatalf("%d: sorted %v, want %v; with 1 under a %v, want %v", n, keysOf(v.Sorted()), all, keysOf(found), ones)
		}
	}
}

// TestIndexesAreReplaced checks that there are at most maxTerms indexes and the permanent one, and that an index that was used in the last
// seconds is not replaced.
func TestIndexesAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newView()
		v.Ensure("owner")
		term := func(n int) string { return fmt.Sprintf("t%d.", n) }
		for n := range maxTerms {
			v.Ensure(term(n))
			v.Lookup(term(n), "x")
		}
		if v.Needs("new") {
			t.Error("an index that was used just now may be replaced")
		}
		v.Ensure("new")
		time.Sleep(6 * time.Second)
		v.Lookup(term(7), "x")
		time.Sleep(6 * time.Second)
		for n := range maxTerms - 1 {
			v.Ensure(fmt.Sprintf("new%d.", n))
			v.Lookup(fmt.Sprintf("new%d.", n), "x")
		}
		if v.Has("new") || v.Needs("more") || !v.Has(term(7)) || !v.Has("owner") || len(v.byTerm) != maxTerms+1 {
			t.Errorf("%d indexes, those in use are not all there", len(v.byTerm))
		}
	})
}
