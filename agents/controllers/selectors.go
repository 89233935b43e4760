package controllers

import (
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/schema"
)

// union joins what is owned and what is selected, each object once, sorted by name.
func union[T schema.Object](owned, selected []T) []T {
	out := append(slices.Clone(owned), selected...)
	slices.SortFunc(out, byName[T])
	return slices.CompactFunc(out, func(a, b T) bool { return a.GetName() == b.GetName() && a.GetUID() == b.GetUID() })
}

// selectors remembers the selectors of a kind by key, to answer which of them match an object, without waiting for any
// cache; and how large what they select is.
type selectors struct {
	mu    sync.Mutex // guards both maps
	by    map[string]map[string]labels.Selector
	sizes map[string]int
}

func newSelectors() *selectors {
	return &selectors{by: map[string]map[string]labels.Selector{}, sizes: map[string]int{}}
}

// coalesce is how long changes of what an object is made of gather before its owner is looked at, so that a thousand
// pods are not a thousand looks. A large owner takes longer to look at and waits longer, up to slowest.
const (
	coalesce    = 10 * time.Millisecond
	coalesceOne = 100 * time.Microsecond
	slowest     = 200 * time.Millisecond
)

// selected notes how many objects a key selects.
func (s *selectors) selected(key string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sizes[key] = n
}

// gather is how long changes of what a key selects gather.
func (s *selectors) gather(key string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return min(coalesce+time.Duration(s.sizes[key])*coalesceOne, slowest)
}

// set replaces the selector of an object; nil forgets it.
func (s *selectors) set(obj metav1.Object, selector labels.Selector) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ns, name := obj.GetNamespace(), obj.GetName()
	if selector == nil {
		delete(s.sizes, ns+"/"+name)
		delete(s.by[ns], name)
		if len(s.by[ns]) == 0 {
			delete(s.by, ns)
		}
		return
	}
	if s.by[ns] == nil {
		s.by[ns] = map[string]labels.Selector{}
	}
	s.by[ns][name] = selector
}

// each calls f for the key of every object whose selector matches.
func (s *selectors) each(namespace string, set map[string]string, f func(key string)) {
	for _, key := range s.matching(namespace, set) {
		f(key)
	}
}

func (s *selectors) matching(namespace string, set map[string]string) (keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, selector := range s.by[namespace] {
		if selector.Matches(labels.Set(set)) {
			keys = append(keys, namespace+"/"+name)
		}
	}
	return keys
}

// selectorOf reads a label selector; nil where there is none, it is empty (it would match everything) or wrong.
func selectorOf(s *metav1.LabelSelector) labels.Selector {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil || selector.Empty() || s == nil {
		return nil
	}
	return selector
}

func byName[T metav1.Object](a, b T) int { return strings.Compare(a.GetName(), b.GetName()) }
