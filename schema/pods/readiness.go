package pods

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Condition returns a pod's condition of a type; nil: it has none. Upstream: k8s.io/kubernetes/pkg/api/v1/pod.GetPodCondition.
func Condition(pod *corev1.Pod, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == t {
			return c
		}
	}
	return nil
}

// IsConditionTrue returns whether a pod has a condition of a type with status True.
func IsConditionTrue(pod *corev1.Pod, t corev1.PodConditionType) bool {
	c := Condition(pod, t)
	return c != nil && c.Status == corev1.ConditionTrue
}

// IsReady returns whether a pod's condition Ready is True. Upstream: k8s.io/kubernetes/pkg/api/v1/pod.IsPodReady.
func IsReady(pod *corev1.Pod) bool { return IsConditionTrue(pod, corev1.PodReady) }

// ReadySince returns when a pod became ready, zero where it is not ready. A ready pod whose condition has no time counts as ready
// since one second after 1970. Upstream: the time that k8s.io/kubernetes/pkg/api/v1/pod.IsPodAvailable and
// k8s.io/kubernetes/pkg/controller.ActivePodsWithRanks compare.
func ReadySince(pod *corev1.Pod) time.Time {
	c := Condition(pod, corev1.PodReady)
	switch {
	case c == nil || c.Status != corev1.ConditionTrue:
		return time.Time{}
	case c.LastTransitionTime.IsZero():
		return time.Unix(1, 0)
	}
	return c.LastTransitionTime.Time
}
