package plugins

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/scheduler/framework"
	"gantry/schema/pods"
)

func filterTaints(state *framework.PreFilterState, _ any, n *framework.NodeInfo) ([]string, bool) {
	if t := pods.UntoleratedForScheduling(n.Object.Spec.Taints, state.Signature.Tolerations); t != nil {
		return []string{fmt.Sprintf("node(s) had untolerated taint {%s: %s}", t.Key, t.Value)}, true
	}
	return nil, false
}

// scoreTaints returns the number of taints of effect PreferNoSchedule that are not tolerated.
func scoreTaints(state *framework.PreFilterState, _ any, n *framework.NodeInfo) (score float64) {
	for i := range n.Object.Spec.Taints {
		if t := &n.Object.Spec.Taints[i]; t.Effect == corev1.TaintEffectPreferNoSchedule && !pods.Tolerates(state.Signature.Tolerations, t) {
			score++
		}
	}
	return score
}
