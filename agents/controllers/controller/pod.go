package controller

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PodEnded tells a pod whose containers will not run again.
func PodEnded(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// PodReadySince is when the pod became ready; zero where it is not.
func PodReadySince(p *corev1.Pod) time.Time {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			if c.LastTransitionTime.IsZero() {
				return time.Unix(1, 0) // ready, and nobody said since when: since long ago
			}
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

func PodReady(p *corev1.Pod) bool { return !PodReadySince(p).IsZero() }

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
