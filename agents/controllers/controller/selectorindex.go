package controller

import (
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/schema"
)

// Union joins what is owned and what is selected, each object once, sorted by name.
func Union[T schema.Object](owned, selected []T) []T {
	out := append(slices.Clone(owned), selected...)
	slices.SortFunc(out, ByName[T])
	return slices.CompactFunc(out, func(a, b T) bool { return a.GetName() == b.GetName() && a.GetUID() == b.GetUID() })
}

// SelectorIndex remembers the selectors of a kind by key, to answer which of them match an object, without waiting for any
// cache; and how large what they select is.
type SelectorIndex struct {
	mu    sync.Mutex // guards both maps
	by    map[string]map[string]labels.Selector
	sizes map[string]int
}

func NewSelectorIndex() *SelectorIndex {
	return &SelectorIndex{by: map[string]map[string]labels.Selector{}, sizes: map[string]int{}}
}

// coalesce is how long changes of what an object is made of gather before its owner is looked at, so that a thousand
// pods are not a thousand looks. A large owner takes longer to look at and waits longer, up to slowest.
const (
	CoalesceDelay = 10 * time.Millisecond
	coalesceOne   = 100 * time.Microsecond
	slowest       = 200 * time.Millisecond
)

// SetSize notes how many objects a key selects.
func (s *SelectorIndex) SetSize(key string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sizes[key] = n
}

// Delay is how long changes of what a key selects gather.
func (s *SelectorIndex) Delay(key string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return min(CoalesceDelay+time.Duration(s.sizes[key])*coalesceOne, slowest)
}

// Set replaces the selector of an object; nil forgets it.
func (s *SelectorIndex) Set(obj metav1.Object, selector labels.Selector) {
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

// Each calls f for the key of every object whose selector matches.
func (s *SelectorIndex) Each(namespace string, set map[string]string, f func(key string)) {
	for _, key := range s.matching(namespace, set) {
		f(key)
	}
}

func (s *SelectorIndex) matching(namespace string, set map[string]string) (keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, selector := range s.by[namespace] {
		if selector.Matches(labels.Set(set)) {
			keys = append(keys, namespace+"/"+name)
		}
	}
	return keys
}

// SelectorOf reads a label selector; nil where there is none, it is empty (it would match everything) or wrong.
func SelectorOf(s *metav1.LabelSelector) labels.Selector {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil || selector.Empty() || s == nil {
		return nil
	}
	return selector
}

func ByName[T metav1.Object](a, b T) int { return strings.Compare(a.GetName(), b.GetName()) }
