package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/scheduler/framework"
	"gantry/agents/scheduler/plugins"
)

// with returns the scheduler's table with more rows.
func with(rows ...framework.Plugin) []framework.Plugin { return slices.Concat(plugins.All, rows) }

// annotated sets an annotation, which only a plug-in with sign reads.
func annotated(key, value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Annotations = map[string]string{key: value} }
}

// rackPlugin filters by an annotation of the pod and a label of the node. It uses sign, PreFilter and filter.
var rackPlugin = framework.Plugin{
	Name: "Rack",
	Sign: func(pod *corev1.Pod) any { return pod.Annotations["rack"] },
	PreFilter: func(_ any, _ *framework.ClusterState, sig *framework.PodSignature) any {
		if rack := sig.Pod.Annotations["rack"]; rack != "" {
			return rack
		}
		return nil
	},
	Filter: func(_ *framework.PreFilterState, own any, n *framework.NodeInfo) ([]string, bool) {
		if rack, _ := n.Label("rack"); rack != own.(string) {
			return []string{"node(s) were in another rack"}, true
		}
		return nil, false
	},
}

func TestFilterPlugin(t *testing.T) {
	nodes := []*corev1.Node{aNode("n1", nodeLabel("rack", "a")), aNode("n2", nodeLabel("rack", "b"))}
	s := newTestStateWith(with(rackPlugin), nodes, aPod("a", annotated("rack", "a")), aPod("b", annotated("rack", "b")), aPod("c", annotated("rack", "c")))
	for _, want := range []string{"n1", "n2"} {
		if d := mustScheduleOne(t, s, start); d.name != want {
			t.Errorf("%s is on %q, want %s", d.object.Name, d.name, want)
		}
	}
	d := mustScheduleOne(t, s, start)
	const why = "0/2 nodes are available: 2 node(s) were in another rack. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
	if d.node != nil || d.why.String() != why {
		t.Fatalf("c: %q, %s", d.name, d.why)
	}
	s.setPod(aPod("any"), start)
	if d := mustScheduleOne(t, s, start); d.node == nil {
		t.Errorf("a pod for which preFilter returns nil is filtered: %s", d.why)
	}
	s.setNode("n3", aNode("n3", nodeLabel("rack", "c")), start.Add(time.Minute))
	if d := mustScheduleOne(t, s, start.Add(time.Minute)); d.name != "n3" {
		t.Errorf("c is on %q after a node of its rack came", d.name)
	}
}

// nameCounts counts pods by node. It is the pre-filter state of a plug-in that prefers nodes with many.
type nameCounts map[string]int

func (c nameCounts) UpdatePods(n *framework.NodeInfo, _ *framework.PodSignature, by int, _ bool) {
	c[n.Name] += by
}
func (c nameCounts) DropSignature(*framework.PodSignature) {}

func TestScorePlugin(t *testing.T) {
	tests := []struct {
		name string
		row  framework.Plugin
		want string // the node that gets the pod
	}{
		{"without normalize", framework.Plugin{Name: "Named", Weight: 1000, Score: func(_ *framework.PreFilterState, _ any, n *framework.NodeInfo) float64 {
			if n.Name == "n2" {
				return framework.MaxNodeScore
			}
			return 0
		}}, "n2"},
		{"normalized", framework.Plugin{Name: "Long", Weight: 1000, Normalize: framework.NormalizeReversed, Score: func(_ *framework.PreFilterState, _ any, n *framework.NodeInfo) float64 {
			return map[string]float64{"n1": 5000, "n2": 4000, "n3": 3000}[n.Name]
		}}, "n3"},
		{"cluster-wide, counting pods", framework.Plugin{Name: "Packed", Weight: 1000, ClusterWide: true, Normalize: framework.NormalizeByMax,
			PreFilter: func(_ any, c *framework.ClusterState, _ *framework.PodSignature) any {
				counts := nameCounts{}
				framework.CountPods(c, counts)
				return counts
			},
			Score: func(_ *framework.PreFilterState, own any, n *framework.NodeInfo) float64 {
				return float64(own.(nameCounts)[n.Name])
			},
		}, "n1"},
		{"skipped", framework.Plugin{Name: "Skipped", Weight: 1000, ClusterWide: true, SkipScore: func(any) bool { return true },
			Score: func(*framework.PreFilterState, any, *framework.NodeInfo) float64 { panic("a skipped score ran") },
		}, "n2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newTestStateWith(with(tt.row), plainNodes(3), aPod("there", requests("cpu", "1"), on("n1")))
			for i := range 3 {
				s.setPod(aPod(fmt.Sprintf("p%d", i)), start)
				d := mustScheduleOne(t, s, start)
				if d.name != tt.want {
					t.Fatalf("p%d is on %q, want %s", i, d.name, tt.want)
				}
				s.deletePod("default", d.object.Name, start)
				s.cluster.NextStart = 0
			}
		})
	}
}

// trace is a plug-in that notes its calls.
func trace(name string, calls *[]string, reserveError, preBindError error) framework.Plugin {
	note := func(what string, pod *corev1.Pod, node *corev1.Node, reserved any) {
		*calls = append(*calls, fmt.Sprintf("%s %s %s %s %v", what, name, pod.Name, node.Name, reserved))
	}
	return framework.Plugin{
		Name: name,
		Reserve: func(_ any, pod *corev1.Pod, node *corev1.Node) (any, error) {
			note("reserve", pod, node, nil)
			return "by-" + name, reserveError
		},
		Unreserve: func(_ any, pod *corev1.Pod, node *corev1.Node, reserved any) { note("unreserve", pod, node, reserved) },
		PreBind: func(_ context.Context, _ any, pod *corev1.Pod, node *corev1.Node, reserved any) error {
			note("preBind", pod, node, reserved)
			return preBindError
		},
	}
}

func TestReserveOrder(t *testing.T) {
	full := errors.New("no device is free")
	panics := framework.Plugin{Name: "Panics", Reserve: func(any, *corev1.Pod, *corev1.Node) (any, error) { panic("hostile") }, Unreserve: func(any, *corev1.Pod, *corev1.Node, any) { panic("hostile") }}
	tests := []struct {
		name  string
		rows  func(calls *[]string) []framework.Plugin
		want  []string
		fault string // "": the pod is assumed
	}{
		{name: "all succeed", rows: func(calls *[]string) []framework.Plugin {
			return with(trace("A", calls, nil, nil), trace("B", calls, nil, nil))
		},
			want: []string{"reserve A p n1 <nil>", "reserve B p n1 <nil>"}},
		{name: "the second fails", rows: func(calls *[]string) []framework.Plugin {
			return with(trace("A", calls, nil, nil), trace("B", calls, full, nil), trace("C", calls, nil, nil))
		},
			want: []string{
				"reserve A p n1 <nil>", "reserve B p n1 <nil>",
				"unreserve C p n1 <nil>", "unreserve B p n1 <nil>", "unreserve A p n1 by-A",
			},
			fault: "reserving on node n1 by plug-in B: no device is free"},
		{name: "one panics", rows: func(calls *[]string) []framework.Plugin { return with(trace("A", calls, nil, nil), panics) },
			want: []string{"reserve A p n1 <nil>", "unreserve A p n1 by-A"}, fault: "reserving on node n1 by plug-in Panics: panic: hostile"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var calls []string
			s := newTestStateWith(tt.rows(&calls), plainNodes(1), aPod("p", requests("cpu", "1")))
			d := mustScheduleOne(t, s, start)
			if diff := cmp.Diff(tt.want, calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if tt.fault == "" {
				if d.name != "n1" || !d.pod.assumed {
					t.Errorf("decision %+v", d)
				}
				return
			}
			if d.node != nil || !strings.HasPrefix(d.why.String(), tt.fault) {
				t.Errorf("on %q: %v, want %s", d.name, d.why, tt.fault)
			}
			if d.pod.assumed || d.pod.subqueue != backoff || s.cluster.Nodes["n1"].Requested.CPU != 0 {
				t.Errorf("the pod is assumed %v, in subqueue %d, node's cpu %d", d.pod.assumed, d.pod.subqueue, s.cluster.Nodes["n1"].Requested.CPU)
			}
		})
	}
}

// TestUnreserveOnce goes through the ends of a binding that failed: unreserve runs once, in reverse order, and the pod is retried where it is
// still pending.
func TestUnreserveOnce(t *testing.T) {
	unreserved := []string{"unreserve B p n1 by-B", "unreserve A p n1 by-A"}
	tests := []struct {
		name    string
		between func(s *schedulingState)
		retried bool
	}{
		{"still pending", func(*schedulingState) {}, true},
		{"deleted", func(s *schedulingState) { s.deletePod("default", "p", start) }, false},
		{"replaced", func(s *schedulingState) {
			s.setPod(aPod("p", func(p *corev1.Pod) { p.UID, p.Spec.SchedulerName = "new", "other" }), start)
		}, false},
		{"bound by somebody else", func(s *schedulingState) { s.setPod(aPod("p", on("n2")), start) }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var calls []string
			s := newTestStateWith(with(trace("A", &calls, nil, nil), trace("B", &calls, nil, nil)), plainNodes(2), aPod("p"))
			d := mustScheduleOne(t, s, start)
			calls = nil
			tt.between(s)
			s.bindFailed(d, start)
			if diff := cmp.Diff(unreserved, calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			s.queue.flush(start.Add(time.Minute))
			if d, ok := s.scheduleOne(start.Add(time.Minute)); ok != tt.retried || ok && d.node == nil {
				t.Errorf("retried %v, want %v", ok, tt.retried)
			}
		})
	}
}

// TestUnreserveRequeues: what a reservation kept from another pod is tried again when it is undone.
func TestUnreserveRequeues(t *testing.T) {
	taken := false
	single := framework.Plugin{
		Name: "Single", ClusterWide: true,
		Filter: func(*framework.PreFilterState, any, *framework.NodeInfo) ([]string, bool) {
			if taken {
				return []string{"the device is reserved"}, true
			}
			return nil, false
		},
		Reserve:   func(any, *corev1.Pod, *corev1.Node) (any, error) { taken = true; return true, nil },
		Unreserve: func(_ any, _ *corev1.Pod, _ *corev1.Node, reserved any) { taken = taken && reserved == nil },
	}
	s := newTestStateWith(with(single), plainNodes(1), aPod("first"), aPod("second"))
	first := mustScheduleOne(t, s, start)
	if d := mustScheduleOne(t, s, start); d.node != nil {
		t.Fatalf("second is on %s while the device is reserved", d.name)
	}
	s.deletePod("default", "first", start)
	s.bindFailed(first, start)
	later := start.Add(time.Minute)
	s.queue.flush(later)
	if d := mustScheduleOne(t, s, later); d.object.Name != "second" || d.node == nil {
		t.Errorf("%s is on %q: %s", d.object.Name, d.name, d.why)
	}
}

func TestPreBind(t *testing.T) {
	pod, target := aPod("p"), aNode("n1")
	fails := errors.New("not mounted")
	var calls []string
	set := testPlugins(with(
		framework.Plugin{Name: "Skipped", Reserve: func(any, *corev1.Pod, *corev1.Node) (any, error) { return nil, nil }, PreBind: func(context.Context, any, *corev1.Pod, *corev1.Node, any) error {
			return errors.New("ran although reserve returned nil")
		}},
		trace("A", &calls, nil, nil), trace("B", &calls, nil, fails), trace("C", &calls, nil, nil)))
	reserved, err := set.Reserve(pod, target)
	if err != nil || !set.NeedsPreBind(reserved) {
		t.Fatalf("reserving: %v, needs pre-bind %v", err, set.NeedsPreBind(reserved))
	}
	calls = nil
	err = set.PreBind(t.Context(), pod, target, reserved)
	if !errors.Is(err, fails) || err.Error() != "preparing node n1 by plug-in B: not mounted" {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff([]string{"preBind A p n1 by-A", "preBind B p n1 by-B"}, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	panics := testPlugins(with(framework.Plugin{Name: "Panics", PreBind: func(context.Context, any, *corev1.Pod, *corev1.Node, any) error { panic("hostile") }}))
	if reserved, err = panics.Reserve(pod, target); err != nil || !panics.NeedsPreBind(reserved) {
		t.Fatalf("a row with preBind alone: %v, needs pre-bind %v", err, panics.NeedsPreBind(reserved))
	}
	if err = panics.PreBind(t.Context(), pod, target, reserved); err == nil {
		t.Error("a panic is no error")
	}
	if none := testPlugins(plugins.All); none.NeedsPreBind(nil) {
		t.Error("a table without preBind needs one")
	}
}
