package kubelet

import (
	corev1 "k8s.io/api/core/v1"
)

// resizeConditions are the conditions of a resize: pending until it is granted, in progress until the containers have it.
func (b *statusBuilder) resizeConditions() []corev1.PodCondition {
	var out []corev1.PodCondition
	if b.pending.reason != "" {
		out = append(out, condition(corev1.PodResizePending, true, b.pending.reason, b.pending.message))
	}
	for _, m := range members(b.pod) {
		if cs := b.Latest(m.Name); cs != nil && (b.resizing(cs, m) || b.resizeRestarts[cs.ID]) {
			reason := ""
			if b.resizeFault != "" {
				reason = corev1.PodReasonError
			}
			return append(out, condition(corev1.PodResizeInProgress, true, reason, b.resizeFault))
		}
	}
	return out
}
