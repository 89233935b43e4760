package controller

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema/pods"
)

// SetPodCondition replaces a condition of a pod; the same status keeps the time of its transition.
func SetPodCondition(p *corev1.Pod, t corev1.PodConditionType, status corev1.ConditionStatus, reason, message string, now time.Time) {
	c := corev1.PodCondition{Type: t, Status: status, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(now), ObservedGeneration: p.Generation}
	for i, was := range p.Status.Conditions {
		if was.Type == t {
			if was.Status == status {
				c.LastTransitionTime = was.LastTransitionTime
			}
			p.Status.Conditions[i] = c
			return
		}
	}
	p.Status.Conditions = append(p.Status.Conditions, c)
}

// SamePod returns whether nothing differs of a pod that its owner counts by: phase, readiness, deletion, labels and owners.
func SamePod(a, b *corev1.Pod) bool {
	return a.UID == b.UID && a.Status.Phase == b.Status.Phase && (a.DeletionTimestamp == nil) == (b.DeletionTimestamp == nil) &&
		pods.ReadySince(a).Equal(pods.ReadySince(b)) && equality.Semantic.DeepEqual(a.Labels, b.Labels) && equality.Semantic.DeepEqual(a.OwnerReferences, b.OwnerReferences)
}

// PodAvailable returns whether a pod has been ready for minReadySeconds. after is when a ready pod will be available, 0 for others.
func PodAvailable(p *corev1.Pod, minReadySeconds int32, now time.Time) (available bool, after time.Duration) {
	since := pods.ReadySince(p)
	if since.IsZero() {
		return false, 0
	}
	wait := since.Add(time.Duration(minReadySeconds) * time.Second).Sub(now)
	if minReadySeconds <= 0 || wait <= 0 {
		return true, 0
	}
	return false, wait
}

// Sooner is the shorter of two times after which a key is to be reconciled again; 0 is never.
func Sooner(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}
