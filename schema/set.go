package schema

import (
	"reflect"
	"strings"
)

// Set is a table of kinds with its look-ups. It is read-only once made.
type Set struct {
	All    []*Kind // in the order given
	byPath map[string]*Kind
	byType map[reflect.Type]*Kind
	byKey  map[string]*Kind
}

// NewSet indexes kinds.
func NewSet(kinds ...*Kind) *Set {
	s := &Set{All: kinds, byPath: map[string]*Kind{}, byType: map[reflect.Type]*Kind{}, byKey: map[string]*Kind{}}
	for _, k := range kinds {
		s.byPath[k.Group+"/"+k.Version+"/"+k.Plural] = k
		s.byType[k.Type()] = k
		s.byKey[k.Prefix] = k
	}
	return s
}

// Resource finds a kind by group, version and plural; nil where there is none.
func (s *Set) Resource(group, version, plural string) *Kind {
	return s.byPath[group+"/"+version+"/"+plural]
}

// Of finds the kind of a Go type; nil where there is none.
func (s *Set) Of(t reflect.Type) *Kind { return s.byType[t] }

// Kind finds a kind by its apiVersion and kind, as references in objects name it; nil where there is none.
func (s *Set) Kind(apiVersion, kind string) *Kind {
	for _, k := range s.All {
		if k.Kind == kind && k.APIVersion() == apiVersion {
			return k
		}
	}
	return nil
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
