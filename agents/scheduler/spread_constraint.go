package scheduler

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// spreadConstraint is a parsed topology spread constraint.
type spreadConstraint struct {
	topologyKey string
	maxSkew     int
	minDomains  int
	hard        bool // DoNotSchedule
	// systemDefault constraints are those of a controller's pod that states none; a node without the label is not excluded by them.
	systemDefault      bool
	selector           labels.Selector // nil: the pods of controller
	controller         string          // uid
	ignoreNodeAffinity bool            // nodeAffinityPolicy: Ignore
	honourTaints       bool            // nodeTaintsPolicy: Honor
}

// systemDefaultConstraints are those of kube-scheduler's defaultingType System.
var systemDefaultConstraints = []struct {
	key     string
	maxSkew int
}{{corev1.LabelHostname, 3}, {corev1.LabelTopologyZone, 5}}

func spreadConstraintsOf(pod *corev1.Pod, owner string) ([]spreadConstraint, error) {
	var all []spreadConstraint
	for i := range pod.Spec.TopologySpreadConstraints {
		t := &pod.Spec.TopologySpreadConstraints[i]
		s, err := metav1.LabelSelectorAsSelector(t.LabelSelector)
		if err != nil {
			return nil, fmt.Errorf("parsing the selector of a topology spread constraint: %w", err)
		}
		if s, err = withMatchLabelKeys(s, pod.Labels, t.MatchLabelKeys, nil); err != nil {
			return nil, err
		}
		c := spreadConstraint{topologyKey: t.TopologyKey, maxSkew: int(t.MaxSkew), minDomains: 1, hard: t.WhenUnsatisfiable == corev1.DoNotSchedule, selector: s}
		if t.MinDomains != nil {
			c.minDomains = int(*t.MinDomains)
		}
		c.ignoreNodeAffinity = t.NodeAffinityPolicy != nil && *t.NodeAffinityPolicy == corev1.NodeInclusionPolicyIgnore
		c.honourTaints = t.NodeTaintsPolicy != nil && *t.NodeTaintsPolicy == corev1.NodeInclusionPolicyHonor
		all = append(all, c)
	}
	if len(all) > 0 || owner == "" {
		return all, nil
	}
	for _, i := range systemDefaultConstraints {
		all = append(all, spreadConstraint{topologyKey: i.key, maxSkew: i.maxSkew, minDomains: 1, systemDefault: true, controller: owner})
	}
	return all, nil
}

// counts returns whether pods of other are counted for a pod of sig.
func (t *spreadConstraint) counts(sig, other *podSignature) bool {
	if other.namespace != sig.namespace {
		return false
	}
	if t.selector == nil {
		return other.controller == t.controller
	}
	return t.selector.Matches(other.labels)
}
