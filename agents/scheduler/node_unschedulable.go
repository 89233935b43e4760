package scheduler

import (
	corev1 "k8s.io/api/core/v1"

	"gantry/schema/pods"
)

func filterNodeUnschedulable(state *preFilterState, _ any, n *node) ([]string, bool) {
	taint := corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}
	if n.object.Spec.Unschedulable && !pods.Tolerates(state.signature.tolerations, &taint) {
		return []string{"node(s) were unschedulable"}, true
	}
	return nil, false
}
