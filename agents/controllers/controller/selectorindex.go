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

// SelectorIndex holds the selectors of the objects of a kind, to answer which of them match another object without waiting for any
// cache; and how many objects each selects.
type SelectorIndex struct {
	mu        sync.Mutex                            // guards both maps
	selectors map[string]map[string]labels.Selector // by namespace and name
	sizes     map[string]int                        // by key
}

// NewSelectorIndex is an empty index.
func NewSelectorIndex() *SelectorIndex {
	return &SelectorIndex{selectors: map[string]map[string]labels.Selector{}, sizes: map[string]int{}}
}

// How long changes of an owner's children are gathered before the owner is reconciled, so that a thousand pods are not a thousand
// reconciliations. An owner of many children takes longer to reconcile and waits longer, up to maxDelay.
const (
	// CoalesceDelay is the delay of an owner without children.
	CoalesceDelay = 10 * time.Millisecond
	delayPerChild = 100 * time.Microsecond
	maxDelay      = 200 * time.Millisecond
)

// SetSize notes how many objects a key selects.
func (s *SelectorIndex) SetSize(key string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sizes[key] = n
}

// Delay is how long changes of what a key selects are gathered.
func (s *SelectorIndex) Delay(key string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return min(CoalesceDelay+time.Duration(s.sizes[key])*delayPerChild, maxDelay)
}

// Set replaces the selector of an object; nil removes the object from the index.
func (s *SelectorIndex) Set(obj metav1.Object, selector labels.Selector) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ns, name := obj.GetNamespace(), obj.GetName()
	if selector == nil {
		delete(s.sizes, ns+"/"+name)
		delete(s.selectors[ns], name)
		if len(s.selectors[ns]) == 0 {
			delete(s.selectors, ns)
		}
		return
	}
	if s.selectors[ns] == nil {
		s.selectors[ns] = map[string]labels.Selector{}
	}
	s.selectors[ns][name] = selector
}

// Each calls f for the key of every object whose selector matches.
func (s *SelectorIndex) Each(namespace string, set map[string]string, f func(key string)) {
	for _, key := range s.matching(namespace, set) {
		f(key)
	}
}

// SelectsAlike returns whether the same objects select a and b, of one namespace.
func (s *SelectorIndex) SelectsAlike(a, b metav1.Object) bool {
	return slices.Equal(slices.Sorted(slices.Values(s.matching(a.GetNamespace(), a.GetLabels()))), slices.Sorted(slices.Values(s.matching(b.GetNamespace(), b.GetLabels()))))
}

func (s *SelectorIndex) matching(namespace string, set map[string]string) (keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, selector := range s.selectors[namespace] {
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

// ByName compares objects by name.
func ByName[T metav1.Object](a, b T) int { return strings.Compare(a.GetName(), b.GetName()) }
