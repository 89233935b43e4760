package core

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	required  = "requiredDuringSchedulingIgnoredDuringExecution"
	preferred = "preferredDuringSchedulingIgnoredDuringExecution"
)

func (c *podCheck) checkAffinity(p *field.Path) {
	a := c.spec.Affinity
	if a == nil {
		return
	}
	if n := a.NodeAffinity; n != nil {
		c.checkNodeAffinity(n, p.Child("nodeAffinity"))
	}
	if n := a.PodAffinity; n != nil {
		c.checkPodTerms(n.RequiredDuringSchedulingIgnoredDuringExecution, n.PreferredDuringSchedulingIgnoredDuringExecution, p.Child("podAffinity"))
	}
	if n := a.PodAntiAffinity; n != nil {
		c.checkPodTerms(n.RequiredDuringSchedulingIgnoredDuringExecution, n.PreferredDuringSchedulingIgnoredDuringExecution, p.Child("podAntiAffinity"))
	}
}

func (c *podCheck) checkNodeAffinity(n *corev1.NodeAffinity, p *field.Path) {
	if r := n.RequiredDuringSchedulingIgnoredDuringExecution; r != nil {
		c.checkNodeSelector(r, p.Child(required, "nodeSelectorTerms"), true)
	}
	for i := range n.PreferredDuringSchedulingIgnoredDuringExecution {
		t, at := &n.PreferredDuringSchedulingIgnoredDuringExecution[i], p.Child(preferred).Index(i)
		c.checkWeight(t.Weight, at)
		c.checkNodeTerm(&t.Preference, at.Child("preference"), false)
	}
}

// checkNodeSelector checks a requirement, whose terms are at p.
func (c *podCheck) checkNodeSelector(s *corev1.NodeSelector, p *field.Path, values bool) {
	if len(s.NodeSelectorTerms) == 0 {
		c.Required(p, "must have at least one node selector term")
	}
	for i := range s.NodeSelectorTerms {
		c.checkNodeTerm(&s.NodeSelectorTerms[i], p.Index(i), values)
	}
}

// ValidateNodeSelector returns every error of the node selector at p, in another object than a pod.
func ValidateNodeSelector(s *corev1.NodeSelector, p *field.Path) field.ErrorList {
	var c podCheck
	c.checkNodeSelector(s, p.Child("nodeSelectorTerms"), true)
	return c.List
}

func (c *podCheck) checkWeight(weight int32, p *field.Path) {
	if weight < 1 || weight > 100 {
		c.Invalid(p.Child("weight"), weight, "must be in the range 1-100")
	}
}

// checkNodeTerm checks values too where the term is a requirement: a preference for an impossible value has no effect.
func (c *podCheck) checkNodeTerm(t *corev1.NodeSelectorTerm, p *field.Path, values bool) {
	for i := range t.MatchExpressions {
		c.checkNodeExpression(&t.MatchExpressions[i], p.Child("matchExpressions").Index(i), values)
	}
	for i := range t.MatchFields {
		c.checkNodeField(&t.MatchFields[i], p.Child("matchFields").Index(i))
	}
}

func (c *podCheck) checkNodeExpression(e *corev1.NodeSelectorRequirement, p *field.Path, values bool) {
	list := p.Child("values")
	switch e.Operator {
	case corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn:
		if len(e.Values) == 0 {
			c.Required(list, "must be specified when `operator` is 'In' or 'NotIn'")
		}
	case corev1.NodeSelectorOpExists, corev1.NodeSelectorOpDoesNotExist:
		if len(e.Values) > 0 {
			c.Forbidden(list, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
		}
	case corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt:
		if len(e.Values) != 1 {
			c.Required(list, "must be specified single value when `operator` is 'Lt' or 'Gt'")
		}
	default:
		c.Invalid(p.Child("operator"), e.Operator, "not a valid selector operator")
	}
	c.Add(metavalidation.ValidateLabelName(e.Key, p.Child("key"))...)
	if values {
		for i, v := range e.Values {
			c.Each(list.Index(i), v, validation.IsValidLabelValue(v))
		}
	}
}

func (c *podCheck) checkNodeField(e *corev1.NodeSelectorRequirement, p *field.Path) {
	if e.Operator != corev1.NodeSelectorOpIn && e.Operator != corev1.NodeSelectorOpNotIn {
		c.Invalid(p.Child("operator"), e.Operator, "not a valid selector operator")
	} else if len(e.Values) != 1 {
		c.Required(p.Child("values"), "must be only one value when `operator` is 'In' or 'NotIn' for node field selector")
	}
	if e.Key != metav1.ObjectNameField {
		c.Invalid(p.Child("key"), e.Key, "not a valid field selector key")
		return
	}
	for i, v := range e.Values {
		c.Subdomain(p.Child("values").Index(i), v)
	}
}

func (c *podCheck) checkPodTerms(must []corev1.PodAffinityTerm, preferredTerms []corev1.WeightedPodAffinityTerm, p *field.Path) {
	for i := range must {
		c.checkPodTerm(&must[i], p.Child(required).Index(i))
	}
	for i := range preferredTerms {
		at := p.Child(preferred).Index(i)
		c.checkWeight(preferredTerms[i].Weight, at)
		c.checkPodTerm(&preferredTerms[i].PodAffinityTerm, at.Child("podAffinityTerm"))
	}
}

func (c *podCheck) checkPodTerm(t *corev1.PodAffinityTerm, p *field.Path) {
	c.checkSelector(t.LabelSelector, p.Child("labelSelector"))
	c.checkSelector(t.NamespaceSelector, p.Child("namespaceSelector"))
	for _, name := range t.Namespaces {
		c.Label(p.Child("namespace"), name)
	}
	c.checkLabelKeys(t.MatchLabelKeys, t.MismatchLabelKeys, t.LabelSelector, p)
	if t.TopologyKey == "" {
		c.Required(p.Child("topologyKey"), "can not be empty")
	}
	c.Add(metavalidation.ValidateLabelName(t.TopologyKey, p.Child("topologyKey"))...)
}

func (c *podCheck) checkSelector(s *metav1.LabelSelector, p *field.Path) {
	if s != nil {
		c.Add(metavalidation.ValidateLabelSelector(s, metavalidation.LabelSelectorValidationOptions{}, p)...)
	}
}

// checkLabelKeys checks the labels whose values come from the pod itself: none may be in the selector by other means.
func (c *podCheck) checkLabelKeys(match, mismatch []string, s *metav1.LabelSelector, p *field.Path) {
	c.checkKeyNames(match, s, p.Child("matchLabelKeys"))
	c.checkKeyNames(mismatch, s, p.Child("mismatchLabelKeys"))
	if len(match) == 0 {
		return
	}
	place := make(map[string]int, len(match))
	for i, key := range match {
		place[key] = i
	}
	if s != nil {
		// One expression of a key is the one written in from the pod's labels (mergeMatchLabelKeys); a second is the client's.
		inSelector := map[string]bool{}
		for key := range s.MatchLabels {
			inSelector[key] = true
		}
		for _, e := range s.MatchExpressions {
			if i, ok := place[e.Key]; ok && inSelector[e.Key] {
				c.Invalid(p.Index(i), e.Key, "exists in both matchLabelKeys and labelSelector")
			}
			inSelector[e.Key] = true
		}
	}
	other := make(map[string]bool, len(mismatch))
	for _, key := range mismatch {
		other[key] = true
	}
	for i, key := range match {
		if other[key] {
			c.Invalid(p.Child("matchLabelKeys").Index(i), key, "exists in both matchLabelKeys and mismatchLabelKeys")
		}
	}
}

func (c *podCheck) checkKeyNames(keys []string, s *metav1.LabelSelector, p *field.Path) {
	if len(keys) > 0 && s == nil {
		c.Forbidden(p, "must not be specified when labelSelector is not set")
		return
	}
	for i, key := range keys {
		c.Add(metavalidation.ValidateLabelName(key, p.Index(i))...)
	}
}
