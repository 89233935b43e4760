package core

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// nodeLabelNotes say what is to be used instead of labels of nodes that are deprecated.
var nodeLabelNotes = map[string]string{
	"beta.kubernetes.io/arch":                       `deprecated since v1.14; use "kubernetes.io/arch" instead`,
	"beta.kubernetes.io/os":                         `deprecated since v1.14; use "kubernetes.io/os" instead`,
	"failure-domain.beta.kubernetes.io/region":      `deprecated since v1.17; use "topology.kubernetes.io/region" instead`,
	"failure-domain.beta.kubernetes.io/zone":        `deprecated since v1.17; use "topology.kubernetes.io/zone" instead`,
	"beta.kubernetes.io/instance-type":              `deprecated since v1.17; use "node.kubernetes.io/instance-type" instead`,
	"app.kubernetes.io/created-by":                  "deprecated since v1.9",
	"scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
	"node-role.kubernetes.io/master":                `use "node-role.kubernetes.io/control-plane" instead`,
}

// NodeLabelNote is the warning about a label of nodes that is deprecated; "" for others.
func NodeLabelNote(key string) string { return nodeLabelNotes[key] }

// NodeSelectorWarnings returns warnings about the labels in a selector of nodes, which may be nil.
func NodeSelectorWarnings(s *metav1.LabelSelector, p *field.Path) (w []string) {
	if s == nil {
		return nil
	}
	for i, e := range s.MatchExpressions {
		if note := nodeLabelNotes[e.Key]; note != "" {
			w = append(w, fmt.Sprintf("%s: %s is %s", p.Child("matchExpressions").Index(i).Child("key"), e.Key, note))
		}
	}
	for _, key := range sortedKeys(s.MatchLabels) {
		if note := nodeLabelNotes[key]; note != "" {
			w = append(w, fmt.Sprintf("%s: %s", p.Child("matchLabels").Child(key), note))
		}
	}
	return w
}

// nodeTermWarnings calls say for the deprecated labels of a term and, with values, for what cannot be a label's value.
func nodeTermWarnings(t *corev1.NodeSelectorTerm, values bool, p *field.Path, say func(p *field.Path, format string, args ...any)) {
	for i, e := range t.MatchExpressions {
		at := p.Child("matchExpressions").Index(i)
		if note := nodeLabelNotes[e.Key]; note != "" {
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
