package schema

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	kschema "k8s.io/apimachinery/pkg/runtime/schema"
)

// Set is a snapshot of all kinds with its look-ups. It is read-only once made.
type Set struct {
	All        []*Kind // in the order given: the order of discovery
	byResource map[kschema.GroupResource]*Kind
	byPath     map[kschema.GroupVersionResource]Served
	byGVK      map[kschema.GroupVersionKind]Served
	byType     map[reflect.Type]*Kind
	byKey      map[string]*Kind
}

// Served is a kind in one of the versions that it is served in.
type Served struct {
	Kind    *Kind
	Version *Version
}

// NewSet indexes kinds. Two that claim the same path, kind or prefix are a programmer's error and panic: see With.
func NewSet(kinds ...*Kind) *Set {
	s := &Set{
		All: kinds, byResource: map[kschema.GroupResource]*Kind{}, byPath: map[kschema.GroupVersionResource]Served{},
		byGVK: map[kschema.GroupVersionKind]Served{}, byType: map[reflect.Type]*Kind{}, byKey: map[string]*Kind{},
	}
	for _, k := range kinds {
		if err := s.add(k); err != nil {
			panic(err)
		}
	}
	return s
}

func (s *Set) add(k *Kind) error {
	if err := s.conflict(k); err != nil {
		return err
	}
	s.byKey[k.Prefix] = k
	if !k.IsUnstructured() {
		s.byType[k.Type()] = k
	}
	s.byResource[k.GR()] = k
	for _, v := range k.Served() {
		s.byResource[v.GV().WithResource(k.Plural).GroupResource()] = k
		s.byPath[v.GV().WithResource(k.Plural)] = Served{k, v}
		s.byGVK[v.GVK()] = Served{k, v}
	}
	return nil
}

// conflict is why k cannot be beside the kinds of the set; nil: it can.
func (s *Set) conflict(k *Kind) error {
	if other := s.byKey[k.Prefix]; other != nil {
		return fmt.Errorf("%s are stored at %q already, where %s would be", other.GR(), k.Prefix, k.GR())
	}
	for prefix, other := range s.byKey {
		if strings.HasPrefix(prefix, k.Prefix+"/") || strings.HasPrefix(k.Prefix, prefix+"/") {
			return fmt.Errorf("%s are stored at %q, which is not apart from %q of %s", other.GR(), prefix, k.Prefix, k.GR())
		}
	}
	for _, v := range append(k.Served(), &k.Version) {
		if s.byResource[v.GV().WithResource(k.Plural).GroupResource()] != nil {
			return fmt.Errorf("%s.%s is the name of another resource", k.Plural, v.Group)
		}
		if other, taken := s.byGVK[v.GVK()]; taken {
			return fmt.Errorf("%s is the kind of %s already, and would be that of %s", v.GVK(), other.Kind.GR(), k.GR())
		}
	}
	return nil
}

// With is the set and k, in the place of the kind with its group and plural where there is one. The error names a kind that has
// one of k's names or k's prefix.
func (s *Set) With(k *Kind) (*Set, error) {
	kinds := slices.Clone(s.All)
	if i := slices.IndexFunc(kinds, func(other *Kind) bool { return other.GR() == k.GR() }); i >= 0 {
		kinds[i] = k
	} else {
		kinds = append(kinds, k)
	}
	others := NewSet(slices.DeleteFunc(slices.Clone(kinds), func(other *Kind) bool { return other == k })...)
	if err := others.conflict(k); err != nil {
		return nil, err
	}
	return NewSet(kinds...), nil
}

// Without is the set without k.
func (s *Set) Without(k *Kind) *Set {
	return NewSet(slices.DeleteFunc(slices.Clone(s.All), func(other *Kind) bool { return other == k })...)
}

// Has tells whether k itself is in the set, and not another kind of its name.
func (s *Set) Has(k *Kind) bool { return s.byKey[k.Prefix] == k }

// Served finds a kind by group, version and plural; the zero Served where there is none.
func (s *Set) Served(group, version, plural string) Served {
	return s.byPath[kschema.GroupVersionResource{Group: group, Version: version, Resource: plural}]
}

// Resource finds a kind by its plural and the group of any of its versions; nil where there is none.
func (s *Set) Resource(group, plural string) *Kind {
	return s.byResource[kschema.GroupResource{Group: group, Resource: plural}]
}

// Of finds the kind of the Go type of its stored version; nil where there is none. Kinds without a Go type are not found.
func (s *Set) Of(t reflect.Type) *Kind { return s.byType[t] }

// Kind finds a kind by the apiVersion and kind of any of its versions, as references in objects name it; nil where there is none.
func (s *Set) Kind(apiVersion, kind string) *Kind {
	gv, err := kschema.ParseGroupVersion(apiVersion)
	if err != nil {
		return nil
	}
	return s.byGVK[gv.WithKind(kind)].Kind
}

// Key takes a key below /registry/ apart: "pods/default/web" is the kind of pods, "default", "web".
// A key that ends in a slash has an empty name. ok is false for a key of no kind or of another depth.
func (s *Set) Key(rel string) (k *Kind, namespace, name string, ok bool) {
	for prefix, rest, more := strings.Cut(rel, "/"); more; {
		if k = s.byKey[prefix]; k != nil {
			return splitName(k, rest)
		}
		var next string
		next, rest, more = strings.Cut(rest, "/")
		prefix += "/" + next
	}
	return nil, "", "", false
}

func splitName(k *Kind, rest string) (*Kind, string, string, bool) {
	if !k.Namespaced {
		return k, "", rest, !strings.Contains(rest, "/")
	}
	namespace, name, two := strings.Cut(rest, "/")
	if !two {
		return k, "", "", rest == "" // the whole prefix; a namespace alone ends in a slash
	}
	return k, namespace, name, namespace != "" && !strings.Contains(name, "/")
}
