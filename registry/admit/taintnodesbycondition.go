package admit

import (
	"context"

	corev1 "k8s.io/api/core/v1"
)

// taintNode keeps pods off a new node until the node lifecycle finds it ready.
func taintNode(_ context.Context, _ Reader, q *Request) error {
	node := q.Object.(*corev1.Node)
	taint := corev1.Taint{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule}
	for _, t := range node.Spec.Taints {
		if t.MatchTaint(&taint) {
			return nil
		}
	}
	node.Spec.Taints = append(node.Spec.Taints, taint)
	return nil
}
