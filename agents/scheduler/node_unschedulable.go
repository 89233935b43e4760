package scheduler

import (
	corev1 "k8s.io/api/core/v1"
)

func filterUnschedulable(state *preFilterState, n *node) ([]string, bool) {
	taint := corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}
	if n.object.Spec.Unschedulable && !tolerates(state.signature.tolerations, &taint) {
		return []string{"node(s) were unschedulable"}, true
	}
	return nil, false
}
