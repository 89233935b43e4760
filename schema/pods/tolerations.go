package pods

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
)

// tolerates returns whether one toleration matches a taint. The operators Lt and Gt are on, as in Kubernetes 1.36; a value that is no number
// is not logged.
func tolerates(t *corev1.Toleration, taint *corev1.Taint) bool {
	return t.ToleratesTaint(klog.Logger{}, taint, true)
}

// Tolerates returns whether any toleration matches a taint, whatever its tolerationSeconds. Upstream:
// k8s.io/component-helpers/scheduling/corev1.TolerationsTolerateTaint.
func Tolerates(tolerations []corev1.Toleration, taint *corev1.Taint) bool {
	for i := range tolerations {
		if tolerates(&tolerations[i], taint) {
			return true
		}
	}
	return false
}

// UntoleratedForScheduling returns the first taint that keeps a pod from being scheduled, one of effect NoSchedule or NoExecute that is
// not tolerated; nil: there is none. An unknown effect counts as well. Upstream:
// k8s.io/component-helpers/scheduling/corev1.FindMatchingUntoleratedTaint with kube-scheduler's filter of effects.
func UntoleratedForScheduling(taints []corev1.Taint, tolerations []corev1.Toleration) *corev1.Taint {
	for i := range taints {
		if t := &taints[i]; t.Effect != corev1.TaintEffectPreferNoSchedule && !Tolerates(tolerations, t) {
			return t
		}
	}
	return nil
}

// TolerationTime returns how long a taint is tolerated: the shortest tolerationSeconds of the tolerations that match, 0 where none
// matches. forever: at least one matches, and none of them has tolerationSeconds. Negative seconds count as 0. Upstream:
// GetMatchingTolerations and getMinTolerationTime in k8s.io/kubernetes/pkg/controller/tainteviction.
func TolerationTime(tolerations []corev1.Toleration, taint *corev1.Taint) (d time.Duration, forever bool) {
	matched, shortest := false, int64(-1)
	for i := range tolerations {
		t := &tolerations[i]
		if !tolerates(t, taint) {
			continue
		}
		matched = true
		if s := t.TolerationSeconds; s != nil && (shortest < 0 || *s < shortest) {
			shortest = min(max(*s, 0), maxTolerationSeconds)
		}
	}
	if matched && shortest < 0 {
		return 0, true
	}
	return time.Duration(max(shortest, 0)) * time.Second, false
}

// maxTolerationSeconds keeps the time within a time.Duration: 68 years.
const maxTolerationSeconds = 1 << 31

// TolerateNoExecute returns whether tolerations mention a taint of effect NoExecute by its key, or every key, whatever their operator
// and value: the pod has its own answer to the taint. Unlike Tolerates it does not compare values, because the taint does not exist yet.
// Upstream: the admission plug-in DefaultTolerationSeconds.
func TolerateNoExecute(tolerations []corev1.Toleration, key string) bool {
	for i := range tolerations {
		t := &tolerations[i]
		if (t.Key == key || t.Key == "") && (t.Effect == corev1.TaintEffectNoExecute || t.Effect == "") {
			return true
		}
	}
	return false
}
