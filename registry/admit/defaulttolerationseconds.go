package admit

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"gantry/schema/pods"
)

// defaultTolerationSeconds is how long a pod stays bound to a node that is not ready or unreachable.
const defaultTolerationSeconds = 300

// addTolerations adds the tolerations of a node that is not ready or unreachable, each unless the pod has one of its own.
func addTolerations(_ context.Context, _ Reader, q *Request) error {
	spec := &q.Object.(*corev1.Pod).Spec
	for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		if pods.TolerateNoExecute(spec.Tolerations, key) {
			continue
		}
		seconds := int64(defaultTolerationSeconds)
		spec.Tolerations = append(spec.Tolerations, corev1.Toleration{
			Key: key, Operator: corev1.TolerationOpExists,
			Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds,
		})
	}
	return nil
}
