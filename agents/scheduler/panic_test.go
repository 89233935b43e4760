package scheduler

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/scheduler/framework"
	"gantry/agents/scheduler/profiles"
)

// panicking returns a function that panics the first time it is called.
func panicking() func() {
	called := false
	return func() {
		if !called {
			called = true
			panic("hostile\nobject")
		}
	}
}

// hostileCounter is a pre-filter state that panics when it is told of a pod.
type hostileCounter struct{ told func() }

func (c hostileCounter) UpdatePods(*framework.NodeInfo, *framework.PodSignature, int, bool) { c.told() }
func (c hostileCounter) DropSignature(*framework.PodSignature)                              {}

// TestAPodIsRetriedAfterAPanic: an attempt that panics leaves nothing behind, its pod waits for its back-off and is scheduled then.
func TestAPodIsRetriedAfterAPanic(t *testing.T) {
	tests := []struct {
		name string
		row  func(panics func()) framework.Plugin
	}{
		{"filter", func(panics func()) framework.Plugin {
			return framework.Plugin{Name: "Hostile", Filter: func(*framework.PreFilterState, any, *framework.NodeInfo) ([]string, bool) {
				panics()
				return nil, false
			}}
		}},
		{"cluster-wide filter", func(panics func()) framework.Plugin {
			return framework.Plugin{Name: "Hostile", ClusterWide: true, Filter: func(*framework.PreFilterState, any, *framework.NodeInfo) ([]string, bool) {
				panics()
				return nil, false
			}}
		}},
		{"pre-filter", func(panics func()) framework.Plugin {
			return framework.Plugin{
				Name: "Hostile", PreFilter: func(any, *framework.ClusterState, *framework.PodSignature) any { panics(); return nil },
				Filter: func(*framework.PreFilterState, any, *framework.NodeInfo) ([]string, bool) { return nil, false },
			}
		}},
		{"score", func(panics func()) framework.Plugin {
			return framework.Plugin{Name: "Hostile", Weight: 1, Score: func(*framework.PreFilterState, any, *framework.NodeInfo) float64 { panics(); return 0 }}
		}},
		{"once the pod is assumed", func(panics func()) framework.Plugin {
			return framework.Plugin{
				Name: "Hostile", ClusterWide: true,
				PreFilter: func(any, *framework.ClusterState, *framework.PodSignature) any { return hostileCounter{panics} },
				Filter:    func(*framework.PreFilterState, any, *framework.NodeInfo) ([]string, bool) { return nil, false },
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var calls []string
			s := newTestStateWith(with(tt.row(panicking()), trace("A", &calls, nil, nil)), plainNodes(1), aPod("p", requests("cpu", "3")), aPod("q", priority(-1)))
			d := mustScheduleOne(t, s, start)
			if d.object.Name != "p" || d.node != nil || d.why.String() != "panic: hostile" || !strings.Contains(d.panicked.Error(), "panicking") {
				t.Fatalf("decision %+v: %s", d, d.why)
			}
			if p := d.pod; p.subqueue != backoff || p.assumed || p.Node != nil || s.cluster.Nodes["n1"].Requested.CPU != 0 {
				t.Errorf("the pod is in subqueue %d, assumed %v, node's cpu %d", p.subqueue, p.assumed, s.cluster.Nodes["n1"].Requested.CPU)
			}
			if reserved := len(calls) > 0; reserved && calls[len(calls)-1] != "unreserve A p n1 by-A" {
				t.Errorf("calls %v", calls)
			}
			if d := mustScheduleOne(t, s, start); d.object.Name != "q" || d.name != "n1" {
				t.Errorf("the next pod %s is on %q: %s", d.object.Name, d.name, d.why)
			}
			if due := s.queue.flush(start); due.Sub(start) != profiles.DefaultInitialBackoff {
				t.Errorf("the pod is retried after %v", due.Sub(start))
			}
			later := start.Add(profiles.DefaultInitialBackoff)
			s.queue.flush(later)
			if d := mustScheduleOne(t, s, later); d.object.Name != "p" || d.name != "n1" || s.cluster.Nodes["n1"].Requested.CPU != 3000 {
				t.Errorf("%s is on %q: %s", d.object.Name, d.name, d.why)
			}
		})
	}
}

// TestRunRetriesAfterAPanic: no event of the pod or its node is needed.
func TestRunRetriesAfterAPanic(t *testing.T) {
	c := newCluster(t)
	c.addNode(t, aNode("n1"))
	c.addPod(t, "p")
	panics := panicking()
	c.scheduleWith(t, "a", with(framework.Plugin{Name: "Hostile", ClusterWide: true, Filter: func(*framework.PreFilterState, any, *framework.NodeInfo) ([]string, bool) {
		panics()
		return nil, false
	}}))
	c.awaitEvent(t, "FailedScheduling", "panic: hostile")
	c.await(t, "explained", func(p *corev1.Pod) bool {
		return len(p.Status.Conditions) > 0 && p.Status.Conditions[0].Reason == corev1.PodReasonSchedulerError
	}, "p")
	c.await(t, "bound", hasNode, "p")
}
