package scheduler

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"gantry/schema/pods"
)

func filterTaints(state *preFilterState, _ any, n *node) ([]string, bool) {
	if t := pods.UntoleratedForScheduling(n.object.Spec.Taints, state.signature.tolerations); t != nil {
		return []string{fmt.Sprintf("node(s) had untolerated taint {%s: %s}", t.Key, t.Value)}, true
	}
	return nil, false
}

// scoreTaints returns the number of taints of effect PreferNoSchedule that are not tolerated.
func scoreTaints(state *preFilterState, _ any, n *node) (score float64) {
	for i := range n.object.Spec.Taints {
		if t := &n.object.Spec.Taints[i]; t.Effect == corev1.TaintEffectPreferNoSchedule && !pods.Tolerates(state.signature.tolerations, t) {
			score++
		}
	}
	return score
}
