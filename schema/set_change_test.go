package schema

import (
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
)

func customKind(n int) *Kind {
	group, other := fmt.Sprintf("g%d.example.com", n/10), fmt.Sprintf("g%d.example.com", n%10)
	return &Kind{
		Version:  Version{Group: group, Version: "v1", Kind: fmt.Sprintf("Kind%d", n), New: NewUnstructured},
		Versions: []*Version{{Group: group, Version: "v1beta1", Kind: fmt.Sprintf("Kind%d", n), New: NewUnstructured}, {Group: other, Version: "v2", Kind: fmt.Sprintf("Kind%d", n), New: NewUnstructured}},
		Plural:   fmt.Sprintf("kinds%d", n), Prefix: fmt.Sprintf("%s/kinds%d", group, n),
	}
}

// wantSameIndex fails where s, the outcome of With and Without, has other look-ups than a new set of its kinds.
func wantSameIndex(t *testing.T, s *Set) {
	t.Helper()
	want := NewSet(s.All...)
	sameGroup := func(a, b groupIndex) bool {
		return maps.Equal(a.byResource, b.byResource) && maps.Equal(a.byPlural, b.byPlural) && maps.Equal(a.byKind, b.byKind)
	}
	if !maps.EqualFunc(s.byGroup, want.byGroup, sameGroup) || !maps.Equal(s.byType, want.byType) || !maps.Equal(s.byPrefix, want.byPrefix) || !maps.Equal(s.below, want.below) {
		t.Fatalf("the look-ups of %d kinds are not those of a new set:\ngot  %+v\nwant %+v", len(s.All), s, want)
	}
}

func TestSetChangesAtRandom(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	s := NewSet()
	for range 2000 {
		before, all := s, slices.Clone(s.All)
		if len(all) > 0 && random.Intn(3) == 0 {
			k := all[random.Intn(len(all))]
			if s = s.Without(k); s.Has(k) || len(s.All) != len(all)-1 {
				t.Fatalf("%s is not removed", k.Plural)
			}
		} else {
			k := customKind(random.Intn(60))
			if random.Intn(2) == 0 {
				k.Versions = nil
			}
			k.NotServed = k.Versions != nil && random.Intn(2) == 0
			var err error
			if s, err = s.With(k); err != nil || !s.Has(k) {
				t.Fatalf("%s: %v", k.Plural, err)
			}
		}
		wantSameIndex(t, s)
		if !slices.Equal(before.All, all) {
			t.Fatal("the change has changed the set before it")
		}
		wantSameIndex(t, before)
	}
}

func TestSetWithoutOneOfTwoOfAType(t *testing.T) {
	a, b := podsAt("a.com", "A", "as", "as"), podsAt("b.com", "B", "bs", "bs")
	for _, removed := range []*Kind{a, b} {
		s := NewSet(a, b).Without(removed)
		wantSameIndex(t, s)
		if found := s.Of(a.Type()); found == nil || found == removed {
			t.Errorf("without %s: found %v", removed.Plural, found)
		}
	}
	c := podsAt("a.com", "A", "as", "as")
	c.New = func() Object { return &appsv1.Deployment{} }
	s, err := NewSet(a).With(c)
	if err != nil {
		t.Fatal(err)
	}
	wantSameIndex(t, s)
	if s.Of(a.Type()) != nil || s.Of(c.Type()) != c {
		t.Error("the replaced kind is found by its Go type")
	}
}

func TestSetPrefixesOverlap(t *testing.T) {
	for _, tt := range []struct {
		first, second string
		overlap       bool
	}{
		{"a/b/c", "a", true},
		{"a/b/c", "a/b", true},
		{"a/b/c", "a/b/d", false},
		{"a/b/c", "a/bb", false},
		{"a", "aa", false},
	} {
		for _, prefixes := range [][2]string{{tt.first, tt.second}, {tt.second, tt.first}} {
			first := podsAt("", "A", "as", prefixes[0])
			second := podsAt("", "B", "bs", prefixes[1])
			s := NewSet(first)
			if _, err := s.With(second); (err != nil) != tt.overlap {
				t.Errorf("%q with %q: %v", prefixes[0], prefixes[1], err)
			}
			if s, err := s.Without(first).With(second); err != nil || !s.Has(second) {
				t.Errorf("%q in the place of %q: %v", prefixes[1], prefixes[0], err)
			}
			func() {
				defer func() {
					if panicked := recover() != nil; panicked != tt.overlap {
						t.Errorf("a set of %q and %q: panicked: %v", prefixes[0], prefixes[1], panicked)
					}
				}()
				NewSet(first, second)
			}()
		}
	}
}

// BenchmarkSetWith adds 1,000 kinds one by one and removes them again.
func BenchmarkSetWith(b *testing.B) {
	kinds := make([]*Kind, 1000)
	for i := range kinds {
		kinds[i] = customKind(i)
	}
	for b.Loop() {
		s := NewSet()
		for _, k := range kinds {
			var err error
			if s, err = s.With(k); err != nil {
				b.Fatal(err)
			}
		}
		for _, k := range kinds {
			s = s.Without(k)
		}
		if len(s.All) != 0 {
			b.Fatalf("%d kinds are left", len(s.All))
		}
	}
}
