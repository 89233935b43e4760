package workload

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/plantest"
)

func TestRejectionBackoff(t *testing.T) {
	// made is a pod of so many seconds ago.
	made := func(seconds int, options ...plantest.PodOption) *corev1.Pod {
		p := plantest.MakePod(fmt.Sprint("p", seconds), options...)
		p.CreationTimestamp = metav1.NewTime(plantest.Now.Add(-time.Duration(seconds) * time.Second))
		return p
	}
	rejectedPod := plantest.Phase(corev1.PodFailed)
	ran := func(p *corev1.Pod) {
		p.Status.Phase = corev1.PodFailed
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}}}
	}
	pending := plantest.Phase(corev1.PodPending)
	pods := func(ps ...*corev1.Pod) []*corev1.Pod { return ps }
	tests := []struct {
		name         string
		living, done []*corev1.Pod
		want         time.Duration
	}{
		{"none", nil, nil, 0},
		{"one rejected just now", nil, pods(made(0, rejectedPod)), time.Second},
		{"one rejected a second ago", nil, pods(made(1, rejectedPod)), 0},
		{"three after each other", nil, pods(made(0, rejectedPod), made(2, rejectedPod), made(3, rejectedPod)), 4 * time.Second},
		{"three at once", nil, pods(made(0, rejectedPod), made(0, rejectedPod), made(0, rejectedPod)), time.Second},
		{"one runs since", pods(made(0)), pods(made(1, rejectedPod), made(2, rejectedPod)), 0},
		{"one of the same moment runs", pods(made(0)), pods(made(0, rejectedPod)), 0},
		{"older ones run", pods(made(60)), pods(made(0, rejectedPod), made(1, rejectedPod)), 2 * time.Second},
		{"one that waits for a node tells nothing", pods(made(0, pending)), pods(made(0, rejectedPod), made(1, rejectedPod)), 2 * time.Second},
		{"what ran was not rejected", nil, pods(made(0, ran)), 0},
		{"and was accepted", nil, pods(made(0, rejectedPod), made(1, ran), made(2, rejectedPod)), time.Second},
		{"long ago", nil, pods(made(0, rejectedPod), made(3600, rejectedPod), made(7200, rejectedPod)), time.Second},
		{"very often", nil, func() (all []*corev1.Pod) {
			for i := range 100 {
				all = append(all, made(i*300, rejectedPod))
			}
			return all
		}(), lastRejectionWait},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := rejectionBackoff(tt.living, tt.done, plantest.Now); got != tt.want {
				t.Errorf("wait %s, want %s", got, tt.want)
			}
		})
	}
}
