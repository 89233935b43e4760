package lifecycle

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/plantest"
)

func TestPodGCPlans(t *testing.T) {
	old := func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(plantest.Now.Add(-24 * time.Hour)) }
	nodes := map[string]*corev1.Node{
		"n1": {},
		"n2": {Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: corev1.TaintNodeOutOfService}}}},
	}
	tests := []struct {
		name string
		pods []*corev1.Pod
		want string
	}{
		{"running", []*corev1.Pod{plantest.MakePod("a"), plantest.MakePod("b", plantest.Deleting)}, ""},
		{"the node is gone", []*corev1.Pod{plantest.MakePod("a", plantest.OnNode("lost"))}, "update status of a, delete a"},
		{"the node is gone for too short", []*corev1.Pod{plantest.MakePod("a", plantest.OnNode("new"))}, ""},
		{"ended on a node that is gone", []*corev1.Pod{plantest.MakePod("a", plantest.OnNode("lost"), plantest.Phase(corev1.PodSucceeded))}, "delete a"},
		{"deleted without ever a node", []*corev1.Pod{plantest.MakePod("a", plantest.Unscheduled, plantest.Deleting), plantest.MakePod("b", plantest.Unscheduled)}, "delete a"},
		{"deleted on a node out of service", []*corev1.Pod{plantest.MakePod("a", plantest.OnNode("n2"), plantest.Deleting), plantest.MakePod("b", plantest.OnNode("n2"))}, "update status of a, delete a"},
		{"too many have ended", []*corev1.Pod{plantest.MakePod("a", plantest.Phase(corev1.PodFailed)), plantest.MakePod("b", plantest.Phase(corev1.PodSucceeded), old), plantest.MakePod("c", plantest.Phase(corev1.PodFailed))}, "delete b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, a := range planPodGC(tt.pods, nodes, map[string]bool{"lost": true}, 2, plantest.Now) {
				got = append(got, string(a.Do)+" "+a.Object.GetName())
				if a.Do == controller.Delete && *a.DeleteOptions.GracePeriodSeconds != 0 {
					t.Errorf("%s is deleted gracefully: no kubelet will confirm that", a.Object.GetName())
				}
			}
			if s := strings.Join(got, ", "); s != tt.want {
				t.Errorf("plan %q, want %q", s, tt.want)
			}
		})
	}
}
