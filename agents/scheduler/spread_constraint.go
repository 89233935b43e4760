package scheduler

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// constraint is one topology spread constraint: the pods it counts are to be spread over the values of a node label.
type constraint struct {
	key        string
	maxSkew    int
	minDomains int
	hard       bool // DoNotSchedule
	// implied constraints are the ones every pod of a controller gets that states none; a node without the label
	// is then as good as any.
	implied      bool
	pods         labels.Selector // nil: those of owner
	owner        string
	ignoreNodes  bool // count on nodes that the pod's node affinity excludes
	honourTaints bool // don't count on nodes whose taints the pod does not tolerate
}

// The spreading of a controller's pods that nobody asked for.
var impliedKeys = []struct {
	key     string
	maxSkew int
}{{corev1.LabelHostname, 3}, {corev1.LabelTopologyZone, 5}}

func constraintsOf(pod *corev1.Pod, owner string) ([]constraint, error) {
	var all []constraint
	for i := range pod.Spec.TopologySpreadConstraints {
		t := &pod.Spec.TopologySpreadConstraints[i]
		s, err := metav1.LabelSelectorAsSelector(t.LabelSelector)
		if err != nil {
			return nil, fmt.Errorf("parsing the selector of a topology spread constraint: %w", err)
		}
		if s, err = withKeys(s, pod.Labels, t.MatchLabelKeys, nil); err != nil {
			return nil, err
		}
		c := constraint{key: t.TopologyKey, maxSkew: int(t.MaxSkew), minDomains: 1, hard: t.WhenUnsatisfiable == corev1.DoNotSchedule, pods: s}
		if t.MinDomains != nil {
			c.minDomains = int(*t.MinDomains)
		}
		c.ignoreNodes = t.NodeAffinityPolicy != nil && *t.NodeAffinityPolicy == corev1.NodeInclusionPolicyIgnore
		c.honourTaints = t.NodeTaintsPolicy != nil && *t.NodeTaintsPolicy == corev1.NodeInclusionPolicyHonor
		all = append(all, c)
	}
	if len(all) > 0 || owner == "" {
		return all, nil
	}
	for _, i := range impliedKeys {
		all = append(all, constraint{key: i.key, maxSkew: i.maxSkew, minDomains: 1, implied: true, owner: owner})
	}
	return all, nil
}

// counts tells whether pods of d are counted for a pod of c.
func (t *constraint) counts(c, d *class) bool {
	if d.namespace != c.namespace {
		return false
	}
	if t.pods == nil {
		return d.owner == t.owner
	}
	return t.pods.Matches(d.labels)
}
