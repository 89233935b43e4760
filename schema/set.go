package schema

import (
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"

	kschema "k8s.io/apimachinery/pkg/runtime/schema"
)

// Set is a snapshot of all kinds with its look-ups. It is read-only once made.
type Set struct {
	All      []*Kind // in the order given: the order of discovery
	byGroup  map[string]groupIndex
	byType   map[reflect.Type]*Kind
	byPrefix map[string]*Kind
	// below counts the kinds whose prefixes begin with a path of fewer segments: "services" of "services/specs".
	below map[string]int
}

// Served is a kind in one of the versions that it is served in.
type Served struct {
	Kind    *Kind
	Version *Version
}

// NewSet indexes kinds. Kinds that conflict with each other, as With finds it, are a programming error: NewSet panics.
func NewSet(kinds ...*Kind) *Set {
	s := &Set{byGroup: map[string]groupIndex{}, byType: map[reflect.Type]*Kind{}, byPrefix: map[string]*Kind{}, below: map[string]int{}}
	for _, k := range kinds {
		if err := s.add(k); err != nil {
			panic(err)
		}
	}
	s.All = kinds
	return s
}

// With returns the set with k, which replaces the kind of its group and plural. The error names the kind that has k's prefix,
// a prefix below or above it, or one of k's resource names or kinds. It costs about one copy of the list of prefixes.
func (s *Set) With(k *Kind) (*Set, error) {
	next := s.clone()
	replaced := s.Resource(k.Group, k.Plural)
	if replaced != nil && replaced.GR() == k.GR() {
		next.All[slices.Index(next.All, replaced)] = k
		next.remove(replaced)
	} else {
		next.All = append(next.All, k)
	}
	if err := next.add(k); err != nil {
		return nil, err
	}
	return next, nil
}

// Without returns the set without k; s itself where k is not in it. It costs what With costs.
func (s *Set) Without(k *Kind) *Set {
	if !s.Has(k) {
		return s
	}
	next := s.clone()
	next.All = slices.DeleteFunc(next.All, func(other *Kind) bool { return other == k })
	next.remove(k)
	return next
}

// clone returns a copy that add and remove can change. It shares the indexes of groups, which they replace.
func (s *Set) clone() *Set {
	return &Set{
		All: append(make([]*Kind, 0, len(s.All)+1), s.All...), byGroup: maps.Clone(s.byGroup), byType: maps.Clone(s.byType),
		byPrefix: maps.Clone(s.byPrefix), below: maps.Clone(s.below),
	}
}

// add adds k to the look-ups. After an error they are as before.
func (s *Set) add(k *Kind) error {
	if err := s.conflict(k); err != nil {
		return err
	}
	s.byPrefix[k.Prefix] = k
	for parent := range parentPaths(k.Prefix) {
		s.below[parent]++
	}
	if !k.IsUnstructured() {
		s.byType[k.Type()] = k
	}
	for _, group := range k.groups() {
		g := s.byGroup[group].clone()
		g.add(group, k)
		s.byGroup[group] = g
	}
	return nil
}

// remove removes k from the look-ups. All is without k by then: another kind of k's Go type is found there.
func (s *Set) remove(k *Kind) {
	delete(s.byPrefix, k.Prefix)
	for parent := range parentPaths(k.Prefix) {
		if s.below[parent]--; s.below[parent] == 0 {
			delete(s.below, parent)
		}
	}
	if !k.IsUnstructured() {
		s.removeType(k)
	}
	for _, group := range k.groups() {
		g := s.byGroup[group].clone()
		if g.remove(group, k); len(g.byResource) == 0 {
			delete(s.byGroup, group)
		} else {
			s.byGroup[group] = g
		}
	}
}

// removeType removes k's Go type, or gives it to another kind that has it.
func (s *Set) removeType(k *Kind) {
	delete(s.byType, k.Type())
	for _, other := range s.All {
		if other.Type() == k.Type() {
			s.byType[k.Type()] = other
		}
	}
}

// conflict returns why k cannot be in one set with the kinds of s; nil where it can.
func (s *Set) conflict(k *Kind) error {
	if other := s.byPrefix[k.Prefix]; other != nil {
		return fmt.Errorf("%s are stored at %q already, where %s would be", other.GR(), k.Prefix, k.GR())
	}
	if other := s.overlapping(k.Prefix); other != nil {
		return fmt.Errorf("%s are stored at %q, which is not apart from %q of %s", other.GR(), other.Prefix, k.Prefix, k.GR())
	}
	for _, v := range append(k.Served(), &k.Version) {
		if s.Resource(v.Group, k.Plural) != nil {
			return fmt.Errorf("%s.%s is the name of another resource", k.Plural, v.Group)
		}
		if other, taken := s.byGroup[v.Group].byKind[versioned{v.Version, v.Kind}]; taken {
			return fmt.Errorf("%s is the kind of %s already, and would be that of %s", v.GVK(), other.Kind.GR(), k.GR())
		}
	}
	return nil
}

// overlapping returns a kind whose prefix is above or below prefix; nil where there is none.
func (s *Set) overlapping(prefix string) *Kind {
	for parent := range parentPaths(prefix) {
		if other := s.byPrefix[parent]; other != nil {
			return other
		}
	}
	if s.below[prefix] == 0 {
		return nil
	}
	for below, other := range s.byPrefix {
		if strings.HasPrefix(below, prefix+"/") {
			return other
		}
	}
	return nil
}

// parentPaths yields the paths above prefix: "a" and "a/b" for "a/b/c".
func parentPaths(prefix string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range len(prefix) {
			if prefix[i] == '/' && !yield(prefix[:i]) {
				return
			}
		}
	}
}

// Has tells whether k itself is in the set; another kind of its name does not count.
func (s *Set) Has(k *Kind) bool { return s.byPrefix[k.Prefix] == k }

// Served finds a kind by group, version and plural; the zero Served where there is none.
func (s *Set) Served(group, version, plural string) Served {
	return s.byGroup[group].byPlural[versioned{version, plural}]
}

// Resource finds a kind by its plural and the group of any of its versions; nil where there is none.
func (s *Set) Resource(group, plural string) *Kind {
	return s.byGroup[group].byResource[plural]
}

// Of finds the kind of the Go type of its stored version; nil where there is none. Kinds without a Go type are not found.
func (s *Set) Of(t reflect.Type) *Kind { return s.byType[t] }

// Kind finds a kind by the apiVersion and kind of any of its versions, as references in objects name it; nil where there is none.
func (s *Set) Kind(apiVersion, kind string) *Kind {
	gv, err := kschema.ParseGroupVersion(apiVersion)
	if err != nil {
		return nil
	}
	return s.byGroup[gv.Group].byKind[versioned{gv.Version, kind}].Kind
}

// Version finds the version of a kind that gvk names; nil where there is none.
func (s *Set) Version(gvk kschema.GroupVersionKind) *Version {
	return s.byGroup[gvk.Group].byKind[versioned{gvk.Version, gvk.Kind}].Version
}

// KindOfGroup finds a kind by its name and the group of any of its versions, whatever version a reference names; nil where there is none.
// Of several, it is the first in the order of discovery.
func (s *Set) KindOfGroup(group, kind string) *Kind {
	var found *Kind
	for served, in := range s.byGroup[group].byKind {
		if served.name == kind && (found == nil || slices.Index(s.All, in.Kind) < slices.Index(s.All, found)) {
			found = in.Kind
		}
	}
	return found
}
