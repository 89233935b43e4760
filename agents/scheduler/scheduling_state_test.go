package scheduler

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestOrderOfPods(t *testing.T) {
	older := func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(start.Add(-time.Hour)) }
	s := newTestState(plainNodes(1), aPod("first"), aPod("second"), aPod("old", older), aPod("important", priority(10)), aPod("lowly", priority(-1), older),
		aPod("other", func(p *corev1.Pod) { p.Spec.SchedulerName = "mine" }),
		aPod("leaving", func(p *corev1.Pod) { now := metav1.NewTime(start); p.DeletionTimestamp = &now }),
		aPod("gated", func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "x"}} }))
	var got []string
	for {
		d, ok := s.scheduleOne(start)
		if !ok {
			break
		}
		got = append(got, d.object.Name)
	}
	if diff := cmp.Diff([]string{"important", "old", "first", "second", "lowly"}, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	s.setPod(aPod("gated"), start)
	if d := mustScheduleOne(t, s, start); d.object.Name != "gated" {
		t.Errorf("after its gate opened the next pod is %s", d.object.Name)
	}
}

func TestEqualNodesTakeTurns(t *testing.T) {
	s := newTestState(plainNodes(3))
	got := map[string]int{}
	for i := range 30 {
		s.setPod(aPod(fmt.Sprintf("p%d", i), ownedBy("rs")), start)
		got[mustScheduleOne(t, s, start).name]++
	}
	if diff := cmp.Diff(map[string]int{"n1": 10, "n2": 10, "n3": 10}, got); diff != "" {
		t.Errorf("pods by node (-want +got):\n%s", diff)
	}
}

// TestRequeue has an unschedulable pod and checks which changes make it active again.
func TestRequeue(t *testing.T) {
	full := []*corev1.Pod{aPod("a", requests("cpu", "4"), podLabel("app", "web"), on("n1")), aPod("b", requests("cpu", "1"), on("n2"))}
	tests := []struct {
		name   string
		pod    *corev1.Pod
		change func(s *schedulingState, now time.Time)
		want   bool // active again
	}{
		{"an unknown pod was deleted", aPod("p", requests("cpu", "4")), func(s *schedulingState, now time.Time) { s.deletePod("default", "none", now) }, false},
		{"a pod ended, still too little", aPod("p", requests("cpu", "5")), func(s *schedulingState, now time.Time) { s.deletePod("default", "a", now) }, false},
		{"room", aPod("p", requests("cpu", "4")), func(s *schedulingState, now time.Time) { s.deletePod("default", "a", now) }, true},
		{"a pod failed", aPod("p", requests("cpu", "4")), func(s *schedulingState, now time.Time) {
			s.setPod(aPod("a", on("n1"), func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), now)
		}, true},
		{"a heartbeat", aPod("p", requests("cpu", "4")), func(s *schedulingState, now time.Time) {
			s.setNode("n1", aNode("n1", func(n *corev1.Node) { n.ResourceVersion = "7" }), now)
		}, false},
		{"a node", aPod("p", requests("cpu", "4")), func(s *schedulingState, now time.Time) { s.setNode("n9", aNode("n9"), now) }, true},
		{"a node too small", aPod("p", requests("cpu", "4")), func(s *schedulingState, now time.Time) { s.setNode("n9", aNode("n9", allocatable("cpu", "1")), now) }, false},
		{"a label", aPod("p", selects("disk", "ssd")), func(s *schedulingState, now time.Time) { s.setNode("n2", aNode("n2", nodeLabel("disk", "ssd")), now) }, true},
		{"a pod that its affinity matches", aPod("p", near(corev1.LabelHostname, "app", "db")), func(s *schedulingState, now time.Time) {
			s.setPod(aPod("db", podLabel("app", "db"), on("n2")), now)
		}, true},
		{"its own change", aPod("p", requests("cpu", "4")), func(s *schedulingState, now time.Time) { s.setPod(aPod("p", requests("cpu", "3")), now) }, true},
		{"its own condition", aPod("p", requests("cpu", "4")), func(s *schedulingState, now time.Time) {
			s.setPod(aPod("p", requests("cpu", "4"), func(p *corev1.Pod) { p.ResourceVersion = "9" }), now)
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newTestState(plainNodes(2), full...)
			s.setPod(tt.pod, start)
			if d := mustScheduleOne(t, s, start); d.node != nil {
				t.Fatalf("the pod fits %s", d.name)
			}
			tt.change(s, start.Add(time.Minute))
			if d, ok := s.scheduleOne(start.Add(time.Minute)); ok != tt.want || ok && d.node == nil {
				t.Errorf("active again %v, want %v; decision %+v", ok, tt.want, d)
			}
		})
	}
}

func TestBackoffDoubles(t *testing.T) {
	s := newTestState(plainNodes(1), aPod("p"))
	now := start
	var waits []time.Duration
	for range 6 {
		d := mustScheduleOne(t, s, now)
		s.bindFailed(d, now)
		due := s.queue.flush(now)
		waits = append(waits, due.Sub(now))
		now = due
		s.queue.flush(now)
	}
	want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 10 * time.Second, 10 * time.Second}
	if diff := cmp.Diff(want, waits); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
}

func TestUnschedulablePodsAreRetriedAfterTimeout(t *testing.T) {
	s := newTestState(nil, aPod("p"))
	mustScheduleOne(t, s, start)
	due := s.queue.flush(start)
	if _, ok := s.scheduleOne(due.Add(-time.Second)); ok || due.Sub(start) != unschedulableTimeout {
		t.Errorf("due %v after the attempt", due.Sub(start))
	}
	s.queue.flush(due)
	mustScheduleOne(t, s, due)
}

// TestAssumed covers the outcomes of a decision.
func TestAssumed(t *testing.T) {
	full := aPod("q", requests("cpu", "4"))
	t.Run("accounted for at once", func(t *testing.T) {
		s := newTestState(plainNodes(1), aPod("p", requests("cpu", "4")), full)
		if d := mustScheduleOne(t, s, start); d.name != "n1" {
			t.Fatalf("first pod goes to %q", d.name)
		}
		if d := mustScheduleOne(t, s, start); d.node != nil {
			t.Errorf("the node is overcommitted")
		}
	})
	t.Run("not accounted for after a failure", func(t *testing.T) {
		s := newTestState(plainNodes(1), aPod("p", requests("cpu", "4")), full)
		d := mustScheduleOne(t, s, start)
		mustScheduleOne(t, s, start)
		s.bindFailed(d, start)
		s.queue.flush(start.Add(time.Minute))
		if d := mustScheduleOne(t, s, start.Add(time.Minute)); d.name != "n1" {
			t.Errorf("next goes to %q", d.name)
		}
	})
	t.Run("confirmed", func(t *testing.T) {
		s := newTestState(plainNodes(1), aPod("p", requests("cpu", "4")))
		d := mustScheduleOne(t, s, start)
		s.setPod(aPod("p", requests("cpu", "4"), on("n1")), start)
		s.bindFailed(d, start) // comes too late
		if p := d.pod; p.assumed || p.Node == nil || s.cluster.Nodes["n1"].Requested.CPU != 4000 {
			t.Errorf("pod %+v, node's cpu %d", p, s.cluster.Nodes["n1"].Requested.CPU)
		}
	})
	t.Run("bound to another node by somebody else", func(t *testing.T) {
		s := newTestState(plainNodes(2), aPod("p", requests("cpu", "4")))
		d := mustScheduleOne(t, s, start)
		other := map[string]string{"n1": "n2", "n2": "n1"}[d.name]
		s.setPod(aPod("p", requests("cpu", "4"), on(other)), start)
		if s.cluster.Nodes[d.name].Requested.CPU != 0 || s.cluster.Nodes[other].Requested.CPU != 4000 {
			t.Errorf("accounted on the wrong node")
		}
	})
	t.Run("deleted meanwhile", func(t *testing.T) {
		s := newTestState(plainNodes(1), aPod("p", requests("cpu", "4")))
		d := mustScheduleOne(t, s, start)
		s.deletePod("default", "p", start)
		s.bindFailed(d, start)
		if s.cluster.Nodes["n1"].Requested.CPU != 0 || len(s.cluster.Signatures) != 0 {
			t.Errorf("something is left of the pod")
		}
	})
	t.Run("replaced by a pod of the same name", func(t *testing.T) {
		s := newTestState(plainNodes(1), aPod("p", requests("cpu", "4")))
		d := mustScheduleOne(t, s, start)
		s.setPod(aPod("p", requests("cpu", "2"), func(p *corev1.Pod) { p.UID = "new" }), start)
		s.bindFailed(d, start)
		if d := mustScheduleOne(t, s, start); d.name != "n1" || s.cluster.Nodes["n1"].Requested.CPU != 2000 {
			t.Errorf("goes to %q, node's cpu %d", d.name, s.cluster.Nodes["n1"].Requested.CPU)
		}
	})
}

func TestPodsOfAnUnknownNode(t *testing.T) {
	s := newTestState(nil, aPod("p", requests("cpu", "3"), on("n1")))
	s.setPod(aPod("p", requests("cpu", "3"), on("n1"), podLabel("a", "b")), start) // another signature
	s.setNode("n1", aNode("n1"), start)
	s.setPod(aPod("q", requests("cpu", "2")), start)
	if d := mustScheduleOne(t, s, start); d.node != nil {
		t.Error("a pod that was there before its node is not accounted for")
	}
}
