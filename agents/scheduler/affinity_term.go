package scheduler

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// term is one affinity term: pods that match it attract or repel within one value of a node label.
type term struct {
	key        string // of the node label
	pods       labels.Selector
	namespaces []string
	of         labels.Selector // of namespaces; nil: none
	weight     int64
}

func termsOf(pod *corev1.Pod, list []corev1.PodAffinityTerm) ([]term, error) {
	var all []term
	for i := range list {
		t, err := termOf(pod, &list[i])
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

func termOf(pod *corev1.Pod, a *corev1.PodAffinityTerm) (term, error) {
	t := term{key: a.TopologyKey, namespaces: a.Namespaces}
	var err error
	if t.pods, err = metav1.LabelSelectorAsSelector(a.LabelSelector); err != nil {
		return term{}, fmt.Errorf("parsing the label selector of an affinity term: %w", err)
	}
	if t.pods, err = withKeys(t.pods, pod.Labels, a.MatchLabelKeys, a.MismatchLabelKeys); err != nil {
		return term{}, err
	}
	if a.NamespaceSelector != nil {
		if t.of, err = metav1.LabelSelectorAsSelector(a.NamespaceSelector); err != nil {
			return term{}, fmt.Errorf("parsing the namespace selector of an affinity term: %w", err)
		}
	}
	if len(t.namespaces) == 0 && t.of == nil {
		t.namespaces = []string{pod.Namespace}
	}
	return t, nil
}

// withKeys narrows a selector to the pod's own values of some labels, and to others than its values of some more.
func withKeys(s labels.Selector, own map[string]string, match, mismatch []string) (labels.Selector, error) {
	if _, selectable := s.Requirements(); !selectable { // it matches nothing, and stays so
		return s, nil
	}
	add := func(keys []string, op string) error {
		for _, key := range keys {
			value, ok := own[key]
			if !ok {
				continue
			}
			r, err := labels.ParseToRequirements(fmt.Sprintf("%s %s (%s)", key, op, value))
			if err != nil {
				return fmt.Errorf("narrowing a selector to label %q: %w", key, err)
			}
			s = s.Add(r...)
		}
		return nil
	}
	if err := add(match, "in"); err != nil {
		return nil, err
	}
	err := add(mismatch, "notin")
	return s, err
}

// matches tells whether pods of c are meant; namespaces are the labels of every namespace.
func (t *term) matches(c *class, namespaces map[string]labels.Set) bool {
	if !slices.Contains(t.namespaces, c.namespace) && (t.of == nil || !t.of.Matches(namespaces[c.namespace])) {
		return false
	}
	return t.pods.Matches(c.labels)
}

// matchesAll tells whether every term means pods of c; false for no terms.
func matchesAll(terms []term, c *class, namespaces map[string]labels.Set) bool {
	for i := range terms {
		if !terms[i].matches(c, namespaces) {
			return false
		}
	}
	return len(terms) > 0
}
