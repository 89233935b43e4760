package podstatus

import (
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/podstate"
)

// resizeConditions are the conditions of a resize: pending until it is granted, in progress until the containers have it.
func (b *statusBuilder) resizeConditions() []corev1.PodCondition {
	var out []corev1.PodCondition
	if b.Pending.Reason != "" {
		out = append(out, condition(corev1.PodResizePending, true, b.Pending.Reason, b.Pending.Message))
	}
	for _, m := range podstate.Members(b.Pod) {
		if cs := b.Latest(m.Name); cs != nil && (b.Resizing(cs, m) || b.ResizeRestarts[cs.ID]) {
			reason := ""
			if b.ResizeFault != "" {
				reason = corev1.PodReasonError
			}
			return append(out, condition(corev1.PodResizeInProgress, true, reason, b.ResizeFault))
		}
	}
	return out
}
