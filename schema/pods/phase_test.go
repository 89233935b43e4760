package pods

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestIsTerminal(t *testing.T) {
	now := metav1.Now()
	tests := []struct {
		phase                         corev1.PodPhase
		deleted, terminal, andDeleted bool
	}{
		{phase: ""}, {phase: corev1.PodPending}, {phase: corev1.PodRunning}, {phase: corev1.PodUnknown}, {phase: "Other"},
		{phase: corev1.PodRunning, deleted: true},
		{phase: corev1.PodSucceeded, terminal: true},
		{phase: corev1.PodFailed, terminal: true},
		{phase: corev1.PodSucceeded, deleted: true, terminal: true, andDeleted: true},
		{phase: corev1.PodFailed, deleted: true, terminal: true, andDeleted: true},
	}
	for _, tt := range tests {
		pod := &corev1.Pod{Status: corev1.PodStatus{Phase: tt.phase}}
		if tt.deleted {
			pod.DeletionTimestamp = &now
		}
		if got := IsTerminal(pod); got != tt.terminal {
			t.Errorf("%q, deleted %v: terminal %v, want %v", tt.phase, tt.deleted, got, tt.terminal)
		}
		if got := IsTerminalPhase(tt.phase); got != tt.terminal {
			t.Errorf("phase %q: terminal %v, want %v", tt.phase, got, tt.terminal)
		}
		if got := IsTerminalAndDeleted(pod); got != tt.andDeleted {
			t.Errorf("%q, deleted %v: terminal and deleted %v, want %v", tt.phase, tt.deleted, got, tt.andDeleted)
		}
	}
}

func TestIsMirror(t *testing.T) {
	if IsMirror(nil) || IsMirror(map[string]string{"a": "b"}) || !IsMirror(map[string]string{corev1.MirrorPodAnnotationKey: ""}) {
		t.Error("only the annotation's presence makes a mirror pod")
	}
}
