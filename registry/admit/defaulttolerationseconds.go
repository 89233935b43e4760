package admit

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"gantry/schema/pods"
)

// lostNodeSeconds is how long a pod stays bound to a node that is not ready or cannot be reached.
const lostNodeSeconds = 300

// tolerationSeconds adds the tolerations of a lost node, each unless the pod has one of its own.
func tolerationSeconds(_ context.Context, _ Reader, q *Request) error {
	if !q.is("Pod", Create, Update) {
		return nil
	}
	spec := &q.Obj.(*corev1.Pod).Spec
	for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		if pods.TolerateNoExecute(spec.Tolerations, key) {
			continue
		}
		seconds := int64(lostNodeSeconds)
		spec.Tolerations = append(spec.Tolerations, corev1.Toleration{
			Key: key, Operator: corev1.TolerationOpExists,
			Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds,
		})
	}
	return nil
}
