package core

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// NodeSelectorWarnings returns warnings about the labels in a selector of nodes, which may be nil.
func NodeSelectorWarnings(s *metav1.LabelSelector, p *field.Path) (w []string) {
	if s == nil {
		return nil
	}
	for i, e := range s.MatchExpressions {
		if note, deprecated := NodeLabelDeprecation(e.Key); deprecated {
			w = append(w, fmt.Sprintf("%s: %s is %s", p.Child("matchExpressions").Index(i).Child("key"), e.Key, note))
		}
	}
	for _, key := range sortedKeys(s.MatchLabels) {
		if note, deprecated := NodeLabelDeprecation(key); deprecated {
			w = append(w, fmt.Sprintf("%s: %s", p.Child("matchLabels").Child(key), note))
		}
	}
	return w
}

// nodeTermWarnings calls say for the deprecated labels of a term and, with values, for what cannot be a label's value.
func nodeTermWarnings(t *corev1.NodeSelectorTerm, values bool, p *field.Path, say func(p *field.Path, format string, args ...any)) {
	for i, e := range t.MatchExpressions {
		at := p.Child("matchExpressions").Index(i)
		if note, deprecated := NodeLabelDeprecation(e.Key); deprecated {
			say(at.Child("key"), "%s is %s", e.Key, note)
		}
		if !values {
			continue
		}
		for j, v := range e.Values {
			for _, m := range validation.IsValidLabelValue(v) {
				say(at.Child("values").Index(j), "%s is invalid, %s", v, m)
			}
		}
	}
}
