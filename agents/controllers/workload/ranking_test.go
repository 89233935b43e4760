package workload

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/plantest"
)

func TestRankingMissesTheLeastFirst(t *testing.T) {
	youngerReady := func(p *corev1.Pod) {
		controller.SetPodCondition(p, corev1.PodReady, corev1.ConditionFalse, "", "", plantest.Now)
		plantest.SetReady(p, corev1.ConditionTrue, plantest.Now.Add(-time.Minute))
	}
	cheap := func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.PodDeletionCost: "-1"} }
	dear := func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.PodDeletionCost: "10"} }
	restarted := func(p *corev1.Pod) { p.Status.ContainerStatuses = []corev1.ContainerStatus{{RestartCount: 3}} }
	young := func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(plantest.Now.Add(-time.Minute)) }
	tests := []struct {
		name    string
		in      []*corev1.Pod
		related map[string]int
		want    string
	}{
		{"unscheduled before scheduled", []*corev1.Pod{plantest.MakePod("a", plantest.NotReady), plantest.MakePod("b", plantest.Unscheduled)}, nil, "b a"},
		{"pending before running", []*corev1.Pod{plantest.MakePod("a", plantest.NotReady), plantest.MakePod("b", plantest.Phase(corev1.PodPending), plantest.NotReady)}, nil, "b a"},
		{"unknown between", []*corev1.Pod{plantest.MakePod("a", plantest.NotReady), plantest.MakePod("b", plantest.Phase(corev1.PodUnknown), plantest.NotReady), plantest.MakePod("c", plantest.Phase(corev1.PodPending), plantest.NotReady)}, nil, "c b a"},
		{"not ready before ready", []*corev1.Pod{plantest.MakePod("a"), plantest.MakePod("b", plantest.NotReady)}, nil, "b a"},
		{"cheaper first", []*corev1.Pod{plantest.MakePod("a", dear), plantest.MakePod("b"), plantest.MakePod("c", cheap)}, nil, "c b a"},
		{"the fuller node first", []*corev1.Pod{plantest.MakePod("a"), plantest.MakePod("b", plantest.OnNode("n2"))}, map[string]int{"n1": 1, "n2": 2}, "b a"},
		{"cost outweighs spreading", []*corev1.Pod{plantest.MakePod("a", cheap), plantest.MakePod("b", plantest.OnNode("n2"))}, map[string]int{"n1": 1, "n2": 2}, "a b"},
		{"ready for less time first", []*corev1.Pod{plantest.MakePod("a"), plantest.MakePod("b", youngerReady)}, nil, "b a"},
		{"restarted more often first", []*corev1.Pod{plantest.MakePod("a"), plantest.MakePod("b", restarted)}, nil, "b a"},
		{"younger first", []*corev1.Pod{plantest.MakePod("a"), plantest.MakePod("b", young)}, nil, "b a"},
		{"else by uid", []*corev1.Pod{plantest.MakePod("b"), plantest.MakePod("a")}, nil, "a b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, p := range rankForDeletion(tt.in, tt.related, plantest.Now) {
				got = append(got, p.Name)
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("order %q, want %q", s, tt.want)
			}
		})
	}
}
