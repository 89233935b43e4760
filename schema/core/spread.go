package core

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

// checkSpread checks topology spread constraints; a pair of key and action is given once.
func (c *podCheck) checkSpread(list *field.Path) {
	constraints := c.spec.TopologySpreadConstraints
	type pair struct {
		key    string
		action corev1.UnsatisfiableConstraintAction
	}
	left := make(map[pair]int, len(constraints))
	for i := range constraints {
		left[pair{constraints[i].TopologyKey, constraints[i].WhenUnsatisfiable}]++
	}
	for i := range constraints {
		t, p := &constraints[i], list.Index(i)
		c.Positive(p.Child("maxSkew"), int64(t.MaxSkew))
		if t.TopologyKey == "" {
			c.Required(p.Child("topologyKey"), "can not be empty")
		}
		check.OneOf(&c.Errors, p.Child("whenUnsatisfiable"), t.WhenUnsatisfiable, corev1.DoNotSchedule, corev1.ScheduleAnyway)
		own := pair{t.TopologyKey, t.WhenUnsatisfiable}
		if left[own]--; left[own] > 0 {
			c.Duplicate(p.Child("{topologyKey, whenUnsatisfiable}"), fmt.Sprintf("{%v, %v}", t.TopologyKey, t.WhenUnsatisfiable))
		}
		if t.MinDomains != nil {
			at := p.Child("minDomains")
			c.Positive(at, int64(*t.MinDomains))
			if t.WhenUnsatisfiable != corev1.DoNotSchedule {
				c.Invalid(at, *t.MinDomains, fmt.Sprintf("can only use minDomains if whenUnsatisfiable=%s, not %s", corev1.DoNotSchedule, t.WhenUnsatisfiable))
			}
		}
		c.checkInclusion(t.NodeAffinityPolicy, p.Child("nodeAffinityPolicy"))
		c.checkInclusion(t.NodeTaintsPolicy, p.Child("nodeTaintsPolicy"))
		c.checkLabelKeys(t.MatchLabelKeys, nil, t.LabelSelector, p)
		c.checkSelector(t.LabelSelector, p.Child("labelSelector"))
	}
}

func (c *podCheck) checkInclusion(policy *corev1.NodeInclusionPolicy, p *field.Path) {
	if policy != nil {
		check.OneOf(&c.Errors, p, *policy, corev1.NodeInclusionPolicyHonor, corev1.NodeInclusionPolicyIgnore)
	}
}
