package admit

import (
	"context"

	corev1 "k8s.io/api/core/v1"
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
		if tolerates(spec.Tolerations, key) {
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

func tolerates(tolerations []corev1.Toleration, key string) bool {
	for _, t := range tolerations {
		if (t.Key == key || t.Key == "") && (t.Effect == corev1.TaintEffectNoExecute || t.Effect == "") {
			return true
		}
	}
	return false
}
