package framework

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// AffinityTerm is a parsed term of pod affinity or anti-affinity.
type AffinityTerm struct {
	TopologyKey       string
	selector          labels.Selector
	namespaces        []string
	namespaceSelector labels.Selector // nil: none
	Weight            int64           // of a preferred term; negative: anti-affinity
}

func affinityTermsOf(pod *corev1.Pod, list []corev1.PodAffinityTerm) ([]AffinityTerm, error) {
	var all []AffinityTerm
	for i := range list {
		t, err := affinityTermOf(pod, &list[i])
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

func affinityTermOf(pod *corev1.Pod, a *corev1.PodAffinityTerm) (AffinityTerm, error) {
	t := AffinityTerm{TopologyKey: a.TopologyKey, namespaces: a.Namespaces}
	var err error
	if t.selector, err = metav1.LabelSelectorAsSelector(a.LabelSelector); err != nil {
		return AffinityTerm{}, fmt.Errorf("parsing the label selector of an affinity term: %w", err)
	}
	if t.selector, err = withMatchLabelKeys(t.selector, pod.Labels, a.MatchLabelKeys, a.MismatchLabelKeys); err != nil {
		return AffinityTerm{}, err
	}
	if a.NamespaceSelector != nil {
		if t.namespaceSelector, err = metav1.LabelSelectorAsSelector(a.NamespaceSelector); err != nil {
			return AffinityTerm{}, fmt.Errorf("parsing the namespace selector of an affinity term: %w", err)
		}
	}
	if len(t.namespaces) == 0 && t.namespaceSelector == nil {
		t.namespaces = []string{pod.Namespace}
	}
	return t, nil
}

// withMatchLabelKeys adds requirements to a selector: the pod's own values of the labels match, and other values than its own of the labels
// mismatch.
func withMatchLabelKeys(s labels.Selector, own map[string]string, match, mismatch []string) (labels.Selector, error) {
	if _, selectable := s.Requirements(); !selectable { // it matches nothing
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

// Matches returns whether the term selects pods of sig; namespaces are the labels of every namespace.
func (t *AffinityTerm) Matches(sig *PodSignature, namespaces map[string]labels.Set) bool {
	if !slices.Contains(t.namespaces, sig.namespace) && (t.namespaceSelector == nil || !t.namespaceSelector.Matches(namespaces[sig.namespace])) {
		return false
	}
	return t.selector.Matches(sig.labels)
}

// AllTermsMatch returns whether every term selects pods of sig; false for no terms.
func AllTermsMatch(terms []AffinityTerm, sig *PodSignature, namespaces map[string]labels.Set) bool {
	for i := range terms {
		if !terms[i].Matches(sig, namespaces) {
			return false
		}
	}
	return len(terms) > 0
}
