package plugins

import (
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/scheduler/framework"
	"gantry/schema/pods"
)

func filterNodeUnschedulable(state *framework.PreFilterState, _ any, n *framework.NodeInfo) ([]string, bool) {
	taint := corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}
	if n.Object.Spec.Unschedulable && !pods.Tolerates(state.Signature.Tolerations, &taint) {
		return []string{"node(s) were unschedulable"}, true
	}
	return nil, false
}
