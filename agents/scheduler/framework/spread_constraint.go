package framework

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// SpreadConstraint is a parsed topology spread constraint.
type SpreadConstraint struct {
	TopologyKey string
	MaxSkew     int
	MinDomains  int
	Hard        bool // DoNotSchedule
	// SystemDefault constraints are those of a controller's pod that states none; a node without the label is not excluded by them.
	SystemDefault      bool
	selector           labels.Selector // nil: the pods of controller
	controller         string          // uid
	IgnoreNodeAffinity bool            // nodeAffinityPolicy: Ignore
	HonourTaints       bool            // nodeTaintsPolicy: Honor
}

// systemDefaultConstraints are those of kube-scheduler's defaultingType System.
var systemDefaultConstraints = []struct {
	key     string
	maxSkew int
}{{corev1.LabelHostname, 3}, {corev1.LabelTopologyZone, 5}}

func spreadConstraintsOf(pod *corev1.Pod, owner string) ([]SpreadConstraint, error) {
	var all []SpreadConstraint
	for i := range pod.Spec.TopologySpreadConstraints {
		t := &pod.Spec.TopologySpreadConstraints[i]
		s, err := metav1.LabelSelectorAsSelector(t.LabelSelector)
		if err != nil {
			return nil, fmt.Errorf("parsing the selector of a topology spread constraint: %w", err)
		}
		if s, err = withMatchLabelKeys(s, pod.Labels, t.MatchLabelKeys, nil); err != nil {
			return nil, err
		}
		c := SpreadConstraint{TopologyKey: t.TopologyKey, MaxSkew: int(t.MaxSkew), MinDomains: 1, Hard: t.WhenUnsatisfiable == corev1.DoNotSchedule, selector: s}
		if t.MinDomains != nil {
			c.MinDomains = int(*t.MinDomains)
		}
		c.IgnoreNodeAffinity = t.NodeAffinityPolicy != nil && *t.NodeAffinityPolicy == corev1.NodeInclusionPolicyIgnore
		c.HonourTaints = t.NodeTaintsPolicy != nil && *t.NodeTaintsPolicy == corev1.NodeInclusionPolicyHonor
		all = append(all, c)
	}
	if len(all) > 0 || owner == "" {
		return all, nil
	}
	for _, i := range systemDefaultConstraints {
		all = append(all, SpreadConstraint{TopologyKey: i.key, MaxSkew: i.maxSkew, MinDomains: 1, SystemDefault: true, controller: owner})
	}
	return all, nil
}

// Counts returns whether pods of other are counted for a pod of sig.
func (t *SpreadConstraint) Counts(sig, other *PodSignature) bool {
	if other.namespace != sig.namespace {
		return false
	}
	if t.selector == nil {
		return other.controller == t.controller
	}
	return t.selector.Matches(other.labels)
}
