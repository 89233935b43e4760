package lifecycle

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/plantest"
)

func TestEventsAreDeletedAnHourAfterTheyLastHappened(t *testing.T) {
	ago := func(d time.Duration) metav1.Time { return metav1.NewTime(plantest.Now.Add(-d)) }
	tests := []struct {
		name  string
		event corev1.Event
		want  bool
	}{
		{"young", corev1.Event{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: ago(59 * time.Minute)}}, false},
		{"old", corev1.Event{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: ago(61 * time.Minute)}, FirstTimestamp: ago(61 * time.Minute), LastTimestamp: ago(61 * time.Minute)}, true},
		{"old, and again just now", corev1.Event{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: ago(5 * time.Hour)}, LastTimestamp: ago(time.Minute)}, false},
		{"a series that goes on", corev1.Event{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: ago(5 * time.Hour)},
			Series: &corev1.EventSeries{LastObservedTime: metav1.NewMicroTime(plantest.Now.Add(-time.Minute))}}, false},
	}
	for _, tt := range tests {
		if got := len(expired([]*corev1.Event{&tt.event}, plantest.Now)) == 1; got != tt.want {
			t.Errorf("%s: expired is %v, want %v", tt.name, got, tt.want)
		}
	}
}
