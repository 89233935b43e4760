package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/scheduler/framework"
	"gantry/agents/scheduler/plugins"
	"gantry/agents/scheduler/profiles"
	"gantry/schema/core"
)

// newTestLeader returns a leader of which no goroutine runs.
func newTestLeader(c cluster, rows []framework.Plugin) *leader {
	cfg := Config{Registry: c.r, Identity: "a", Log: slog.New(slog.DiscardHandler)}
	return newLeader(cfg.withDefaults(), c.r, profiles.Default(rows))
}

// TestChangesAreBounded: while nobody applies changes the queue stays at its size; what did not fit is applied afterwards, at its latest state.
func TestChangesAreBounded(t *testing.T) {
	c := newCluster(t)
	l := newTestLeader(c, plugins.All)
	l.changes = newWorkQueue[func(time.Time)](2)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.follow(ctx, core.Node, l.nodeChanged) }()
	const nodes, updates = 10, 30
	for i := range nodes {
		if _, err := c.nodes.Create(ctx, aNode(fmt.Sprintf("n%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	for u := range updates {
		for i := range nodes {
			_, err := c.nodes.Modify(ctx, "", fmt.Sprintf("n%d", i), func(n *corev1.Node) error {
				n.Labels["update"] = fmt.Sprint(u)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := len(l.changes.items); n > 2 {
		t.Errorf("%d changes are queued, want 2 at most", n)
	}
	latest := func() bool {
		for i := range nodes {
			n := l.state.cluster.Nodes[fmt.Sprintf("n%d", i)]
			if n == nil || n.Object == nil || n.Object.Labels["update"] != fmt.Sprint(updates-1) {
				return false
			}
		}
		return true
	}
	deadline := time.After(20 * time.Second)
	for !latest() {
		select {
		case change := <-l.changes.items:
			change(start)
		case <-deadline:
			t.Fatalf("the latest states did not arrive: %v", l.state.cluster.Nodes)
		}
	}
	cancel()
	if err := <-done; err != context.Canceled {
		t.Errorf("following ended with %v", err)
	}
}

// TestBindQueueIsBounded: no pod is scheduled while the bind queue is full.
func TestBindQueueIsBounded(t *testing.T) {
	l := newTestLeader(newCluster(t), plugins.All)
	l.bindQueue = newWorkQueue[decision](2)
	l.state.setNode("n1", aNode("n1"), start)
	for i := range 5 {
		l.state.setPod(aPod(fmt.Sprintf("p%d", i)), start)
	}
	for want := 3; want >= 1; want -= 2 { // pods that stay active
		more, blocked := l.scheduleBatch(t.Context(), start)
		if more || !blocked || l.state.queue.active.Len() != want {
			t.Fatalf("more %v, blocked %v, %d pods are active, want %d", more, blocked, l.state.queue.active.Len(), want)
		}
		for range 2 {
			<-l.bindQueue.items
		}
	}
	if more, blocked := l.scheduleBatch(t.Context(), start); more || blocked || l.state.queue.active.Len() != 0 {
		t.Errorf("more %v, blocked %v, %d pods are active", more, blocked, l.state.queue.active.Len())
	}
}

// TestReportsAreBounded: a report without room is made again after the pod's back-off.
func TestReportsAreBounded(t *testing.T) {
	l := newTestLeader(newCluster(t), plugins.All)
	l.reportQueue = newWorkQueue[report](1)
	for i := range 2 {
		l.state.setPod(aPod(fmt.Sprintf("p%d", i)), start)
	}
	l.scheduleBatch(t.Context(), start)
	first, second := l.state.pods["default/p0"], l.state.pods["default/p1"]
	if first.subqueue != unschedulable || second.subqueue != backoff {
		t.Fatalf("the pods are in subqueues %d and %d", first.subqueue, second.subqueue)
	}
	<-l.reportQueue.items
	later := start.Add(time.Minute)
	l.state.queue.flush(later)
	l.scheduleBatch(t.Context(), later)
	if r := <-l.reportQueue.items; r.pod.Name != "p1" || r.text == "" {
		t.Errorf("report %+v, want that of p1", r)
	}
}

// TestEvictionsAreBounded: an eviction without room is undone and made again after the pod's back-off.
func TestEvictionsAreBounded(t *testing.T) {
	l := newTestLeader(newCluster(t), plugins.All)
	l.evictionQueue = newWorkQueue[eviction](1)
	l.evictionQueue.offer(eviction{})
	l.state.setNode("n1", aNode("n1"), start)
	l.state.setPod(aPod("low", requests("cpu", "4"), on("n1")), start)
	l.state.setPod(aPod("high", requests("cpu", "4"), priority(10)), start)
	l.scheduleBatch(t.Context(), start)
	low, high := l.state.pods["default/low"], l.state.pods["default/high"]
	if low.evicting || low.Terminating || high.subqueue != backoff || high.Nominated != nil {
		t.Fatalf("low is evicting %v; high is in subqueue %d, nominated to %v", low.evicting, high.subqueue, high.Nominated)
	}
	<-l.evictionQueue.items
	later := start.Add(time.Minute)
	l.state.queue.flush(later)
	l.scheduleBatch(t.Context(), later)
	if e := <-l.evictionQueue.items; len(e.victims) != 1 || e.victims[0].Name != "low" {
		t.Errorf("eviction %+v, want low", e)
	}
}
