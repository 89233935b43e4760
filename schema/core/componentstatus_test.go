package core

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestComponentStatusRow(t *testing.T) {
	healthy := corev1.ComponentCondition{Type: corev1.ComponentHealthy, Status: corev1.ConditionTrue, Message: "ok"}
	for _, tt := range []struct {
		in   []corev1.ComponentCondition
		want []any
	}{
		{nil, []any{"etcd-0", "Unknown", "", ""}},
		{[]corev1.ComponentCondition{{Type: "x"}, healthy}, []any{"etcd-0", "Healthy", "ok", ""}},
		{[]corev1.ComponentCondition{{Type: corev1.ComponentHealthy, Status: corev1.ConditionFalse, Error: "gone"}}, []any{"etcd-0", "Unhealthy", "", "gone"}},
	} {
		s := &corev1.ComponentStatus{ObjectMeta: metav1.ObjectMeta{Name: "etcd-0"}, Conditions: tt.in}
		if diff := cmp.Diff(tt.want, ComponentStatus.Row(s, metav1.Now())); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}
