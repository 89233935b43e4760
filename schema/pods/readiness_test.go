package pods

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestReadiness(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	condition := func(kind corev1.PodConditionType, status corev1.ConditionStatus, since time.Time) corev1.PodCondition {
		return corev1.PodCondition{Type: kind, Status: status, LastTransitionTime: metav1.NewTime(since)}
	}
	tests := []struct {
		name       string
		conditions []corev1.PodCondition
		ready      bool
		since      time.Time
	}{
		{name: "no conditions"},
		{name: "another condition", conditions: []corev1.PodCondition{condition(corev1.PodInitialized, corev1.ConditionTrue, at)}},
		{name: "not ready", conditions: []corev1.PodCondition{condition(corev1.PodReady, corev1.ConditionFalse, at)}},
		{name: "unknown", conditions: []corev1.PodCondition{condition(corev1.PodReady, corev1.ConditionUnknown, at)}},
		{name: "ready", ready: true, since: at, conditions: []corev1.PodCondition{
			condition(corev1.PodScheduled, corev1.ConditionFalse, at), condition(corev1.PodReady, corev1.ConditionTrue, at),
		}},
		{name: "ready without a time", ready: true, since: time.Unix(1, 0), conditions: []corev1.PodCondition{
			condition(corev1.PodReady, corev1.ConditionTrue, time.Time{}),
		}},
		{name: "the first of two counts", conditions: []corev1.PodCondition{
			condition(corev1.PodReady, corev1.ConditionFalse, at), condition(corev1.PodReady, corev1.ConditionTrue, at),
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pod := &corev1.Pod{Status: corev1.PodStatus{Conditions: tt.conditions}}
			if got := IsReady(pod); got != tt.ready {
				t.Errorf("ready %v, want %v", got, tt.ready)
			}
			if got := ReadySince(pod); !got.Equal(tt.since) {
				t.Errorf("ready since %v, want %v", got, tt.since)
			}
		})
	}
}

func TestCondition(t *testing.T) {
	pod := &corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady}, {Type: "example.com/gate", Status: corev1.ConditionTrue}}}}
	if c := Condition(pod, "example.com/gate"); c != &pod.Status.Conditions[1] || !IsConditionTrue(pod, "example.com/gate") {
		t.Errorf("condition %v, want the pod's own", c)
	}
	if c := Condition(pod, "missing"); c != nil || IsConditionTrue(pod, "missing") {
		t.Errorf("condition %v of a pod that has none", c)
	}
}
