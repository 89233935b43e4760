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
	b := situation(plainNodes(1), aPod("first"), aPod("second"), aPod("old", older), aPod("important", priority(10)), aPod("lowly", priority(-1), older),
		aPod("other", func(p *corev1.Pod) { p.Spec.SchedulerName = "mine" }),
		aPod("leaving", func(p *corev1.Pod) { now := metav1.NewTime(start); p.DeletionTimestamp = &now }),
		aPod("gated", func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "x"}} }))
	var got []string
	for {
		d, ok := b.next(start)
		if !ok {
			break
		}
		got = append(got, d.object.Name)
	}
	if diff := cmp.Diff([]string{"important", "old", "first", "second", "lowly"}, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	b.pod(aPod("gated"), start)
	if d := mustNext(t, b, start); d.object.Name != "gated" {
		t.Errorf("after its gate opened the next pod is %s", d.object.Name)
	}
}

func TestEqualNodesTakeTurns(t *testing.T) {
	b := situation(plainNodes(3))
	got := map[string]int{}
	for i := range 30 {
		b.pod(aPod(fmt.Sprintf("p%d", i), ownedBy("rs")), start)
		got[mustNext(t, b, start).name]++
	}
	if diff := cmp.Diff(map[string]int{"n1": 10, "n2": 10, "n3": 10}, got); diff != "" {
		t.Errorf("pods by node (-want +got):\n%s", diff)
	}
}

// TestWaking parks a pod that fits nowhere and looks which changes make it active again.
func TestWaking(t *testing.T) {
	full := []*corev1.Pod{aPod("a", requests("cpu", "4"), podLabel("app", "web"), on("n1")), aPod("b", requests("cpu", "1"), on("n2"))}
	tests := []struct {
		name   string
		pod    *corev1.Pod
		change func(b *brain, now time.Time)
		wakes  bool
	}{
		{"a pod that made no difference ended", aPod("p", requests("cpu", "4")), func(b *brain, now time.Time) { b.gone("default", "none", now) }, false},
		{"a pod ended, still too little", aPod("p", requests("cpu", "5")), func(b *brain, now time.Time) { b.gone("default", "a", now) }, false},
		{"room", aPod("p", requests("cpu", "4")), func(b *brain, now time.Time) { b.gone("default", "a", now) }, true},
		{"a pod failed", aPod("p", requests("cpu", "4")), func(b *brain, now time.Time) {
			b.pod(aPod("a", on("n1"), func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), now)
		}, true},
		{"a heartbeat", aPod("p", requests("cpu", "4")), func(b *brain, now time.Time) {
			b.node("n1", aNode("n1", func(n *corev1.Node) { n.ResourceVersion = "7" }), now)
		}, false},
		{"a node", aPod("p", requests("cpu", "4")), func(b *brain, now time.Time) { b.node("n9", aNode("n9"), now) }, true},
		{"a node too small", aPod("p", requests("cpu", "4")), func(b *brain, now time.Time) { b.node("n9", aNode("n9", allocatable("cpu", "1")), now) }, false},
		{"a label", aPod("p", selects("disk", "ssd")), func(b *brain, now time.Time) { b.node("n2", aNode("n2", nodeLabel("disk", "ssd")), now) }, true},
		{"the pod it wants", aPod("p", near(corev1.LabelHostname, "app", "db")), func(b *brain, now time.Time) {
			b.pod(aPod("db", podLabel("app", "db"), on("n2")), now)
		}, true},
		{"its own change", aPod("p", requests("cpu", "4")), func(b *brain, now time.Time) { b.pod(aPod("p", requests("cpu", "3")), now) }, true},
		{"its own condition", aPod("p", requests("cpu", "4")), func(b *brain, now time.Time) {
			b.pod(aPod("p", requests("cpu", "4"), func(p *corev1.Pod) { p.ResourceVersion = "9" }), now)
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := situation(plainNodes(2), full...)
			b.pod(tt.pod, start)
			if d := mustNext(t, b, start); d.node != nil {
				t.Fatalf("the pod fits %s", d.name)
			}
			tt.change(b, start.Add(time.Minute))
			if d, ok := b.next(start.Add(time.Minute)); ok != tt.wakes || ok && d.node == nil {
				t.Errorf("active again %v, want %v; decision %+v", ok, tt.wakes, d)
			}
		})
	}
}

func TestBackoffDoubles(t *testing.T) {
	b := situation(plainNodes(1), aPod("p"))
	now := start
	var waits []time.Duration
	for range 6 {
		d := mustNext(t, b, now)
		b.failed(d.pod, now)
		due := b.queue.promote(now)
		waits = append(waits, due.Sub(now))
		now = due
		b.queue.promote(now)
	}
	want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 10 * time.Second, 10 * time.Second}
	if diff := cmp.Diff(want, waits); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
}

func TestParkedPodsAreTriedAgainInTime(t *testing.T) {
	b := situation(nil, aPod("p"))
	mustNext(t, b, start)
	due := b.queue.promote(start)
	if _, ok := b.next(due.Add(-time.Second)); ok || due.Sub(start) != parkedMax {
		t.Errorf("due %v after the attempt", due.Sub(start))
	}
	b.queue.promote(due)
	mustNext(t, b, due)
}

// TestAssumed goes through what can become of a decision.
func TestAssumed(t *testing.T) {
	full := aPod("q", requests("cpu", "4"))
	t.Run("its room is taken at once", func(t *testing.T) {
		b := situation(plainNodes(1), aPod("p", requests("cpu", "4")), full)
		if d := mustNext(t, b, start); d.name != "n1" {
			t.Fatalf("first pod goes to %q", d.name)
		}
		if d := mustNext(t, b, start); d.node != nil {
			t.Errorf("the room was given away twice")
		}
	})
	t.Run("failed gives it back", func(t *testing.T) {
		b := situation(plainNodes(1), aPod("p", requests("cpu", "4")), full)
		p := mustNext(t, b, start).pod
		mustNext(t, b, start)
		b.failed(p, start)
		b.queue.promote(start.Add(time.Minute))
		if d := mustNext(t, b, start.Add(time.Minute)); d.name != "n1" {
			t.Errorf("next goes to %q", d.name)
		}
	})
	t.Run("confirmed", func(t *testing.T) {
		b := situation(plainNodes(1), aPod("p", requests("cpu", "4")))
		p := mustNext(t, b, start).pod
		b.pod(aPod("p", requests("cpu", "4"), on("n1")), start)
		b.failed(p, start) // comes too late
		if p.assumed || p.node == nil || b.world.nodes["n1"].requested.cpu != 4000 {
			t.Errorf("pod %+v, node's cpu %d", p, b.world.nodes["n1"].requested.cpu)
		}
	})
	t.Run("bound elsewhere by another hand", func(t *testing.T) {
		b := situation(plainNodes(2), aPod("p", requests("cpu", "4")))
		d := mustNext(t, b, start)
		other := map[string]string{"n1": "n2", "n2": "n1"}[d.name]
		b.pod(aPod("p", requests("cpu", "4"), on(other)), start)
		if b.world.nodes[d.name].requested.cpu != 0 || b.world.nodes[other].requested.cpu != 4000 {
			t.Errorf("accounted on the wrong node")
		}
	})
	t.Run("deleted meanwhile", func(t *testing.T) {
		b := situation(plainNodes(1), aPod("p", requests("cpu", "4")))
		p := mustNext(t, b, start).pod
		b.gone("default", "p", start)
		b.failed(p, start)
		if b.world.nodes["n1"].requested.cpu != 0 || len(b.world.classes) != 0 {
			t.Errorf("something is left of the pod")
		}
	})
	t.Run("made anew under its name", func(t *testing.T) {
		b := situation(plainNodes(1), aPod("p", requests("cpu", "4")))
		p := mustNext(t, b, start).pod
		b.pod(aPod("p", requests("cpu", "2"), func(p *corev1.Pod) { p.UID = "new" }), start)
		b.failed(p, start)
		if d := mustNext(t, b, start); d.name != "n1" || b.world.nodes["n1"].requested.cpu != 2000 {
			t.Errorf("goes to %q, node's cpu %d", d.name, b.world.nodes["n1"].requested.cpu)
		}
	})
}

func TestPodsOfAnUnknownNode(t *testing.T) {
	b := situation(nil, aPod("p", requests("cpu", "3"), on("n1")))
	b.pod(aPod("p", requests("cpu", "3"), on("n1"), podLabel("a", "b")), start) // another class
	b.node("n1", aNode("n1"), start)
	b.pod(aPod("q", requests("cpu", "2")), start)
	if d := mustNext(t, b, start); d.node != nil {
		t.Error("a pod that was there before its node is not accounted for")
	}
}
