package scheduler

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"gantry/agents/scheduler/framework"
	"gantry/agents/scheduler/plugins"
	"gantry/schema/pods"
)

// TestNeverOvercommits runs events in any order. After each decision it checks against sums computed again that the chosen node has room,
// and after each event that the kept counts equal counts computed again.
func TestNeverOvercommits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := &model{state: newSchedulingState(testPlugins(plugins.All)), now: start, stored: map[string]*corev1.Pod{}}
		g.state.setNamespace("default", map[string]string{}, start)
		t.Repeat(map[string]func(*rapid.T){
			"node":   g.node,
			"pod":    g.pod,
			"delete": g.delete,
			"decide": g.decide,
			"bind":   g.bind,
			"foreign bind": func(t *rapid.T) {
				if p := g.pick(t, "unbound", func(p *corev1.Pod) bool { return p.Spec.NodeName == "" }); p != nil {
					g.store(p, func(p *corev1.Pod) { p.Spec.NodeName = nodeNames.Draw(t, "node") })
				}
			},
			"end": func(t *rapid.T) {
				if p := g.pick(t, "bound", func(p *corev1.Pod) bool { return p.Spec.NodeName != "" }); p != nil {
					g.store(p, func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })
				}
			},
			"leave": func(t *rapid.T) {
				if p := g.pick(t, "any", func(*corev1.Pod) bool { return true }); p != nil {
					at := metav1.NewTime(start)
					g.store(p, func(p *corev1.Pod) { p.DeletionTimestamp = &at })
				}
			},
			"relabel": func(t *rapid.T) {
				if p := g.pick(t, "any", func(*corev1.Pod) bool { return true }); p != nil {
					g.store(p, func(p *corev1.Pod) { p.Labels = map[string]string{"app": apps.Draw(t, "app")} })
				}
			},
			"wait": func(t *rapid.T) {
				g.now = g.now.Add(time.Duration(rapid.IntRange(1, 400).Draw(t, "seconds")) * time.Second)
				g.state.queue.flush(g.now)
			},
			"": g.check,
		})
	})
}

var (
	nodeNames = rapid.SampledFrom([]string{"n1", "n2", "n3", "n4"})
	podNames  = rapid.StringMatching("p[0-9]")
	apps      = rapid.SampledFrom([]string{"a", "b"})
)

// model is a scheduling state and the stored objects that the watch reports to it.
type model struct {
	state    *schedulingState
	now      time.Time
	stored   map[string]*corev1.Pod
	inFlight []decision
	UID      int
}

func (g *model) pick(t *rapid.T, label string, want func(*corev1.Pod) bool) *corev1.Pod {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(g.stored)) {
		if want(g.stored[name]) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return g.stored[rapid.SampledFrom(names).Draw(t, label)]
}

func (g *model) store(p *corev1.Pod, change func(*corev1.Pod)) {
	p = p.DeepCopy()
	change(p)
	g.stored[p.Name] = p
	g.state.setPod(p, g.now)
}

func (g *model) node(t *rapid.T) {
	name := nodeNames.Draw(t, "node")
	if rapid.IntRange(0, 3).Draw(t, "gone") == 0 {
		g.state.setNode(name, nil, g.now)
		return
	}
	g.state.setNode(name, aNode(name,
		nodeLabel(corev1.LabelTopologyZone, rapid.SampledFrom([]string{"x", "y"}).Draw(t, "zone")),
		allocatable("cpu", fmt.Sprint(rapid.IntRange(1, 4).Draw(t, "cpu")), "pods", fmt.Sprint(rapid.IntRange(1, 5).Draw(t, "pods"))),
	), g.now)
}

func (g *model) pod(t *rapid.T) {
	name := podNames.Draw(t, "pod")
	if g.stored[name] != nil {
		return
	}
	g.UID++
	changes := []func(*corev1.Pod){
		requests("cpu", fmt.Sprintf("%dm", rapid.IntRange(0, 8).Draw(t, "cpu")*300)), priority(rapid.Int32Range(0, 2).Draw(t, "priority")),
		podLabel("app", apps.Draw(t, "app")), func(p *corev1.Pod) { p.UID = types.UID(fmt.Sprint(g.UID)) },
	}
	extra := map[string]func(*corev1.Pod){
		"port": hostPortOf(80), "owner": ownedBy("rs"), "apart": apart(corev1.LabelHostname, "app", "a"), "near": near(corev1.LabelTopologyZone, "app", "b"),
		"spread": spreadOver(corev1.LabelTopologyZone, 1, "app", "a"), "none": func(*corev1.Pod) {},
	}
	changes = append(changes, extra[rapid.SampledFrom(slices.Sorted(maps.Keys(extra))).Draw(t, "extra")])
	p := aPod(name, changes...)
	g.stored[name] = p
	g.state.setPod(p, g.now)
}

func (g *model) delete(t *rapid.T) {
	if p := g.pick(t, "any", func(*corev1.Pod) bool { return true }); p != nil {
		delete(g.stored, p.Name)
		g.state.deletePod(p.Namespace, p.Name, g.now)
	}
}

func (g *model) decide(t *rapid.T) {
	d, ok := g.state.scheduleOne(g.now)
	if !ok {
		return
	}
	for _, v := range d.evict.victims {
		if framework.PriorityOf(g.stored[v.Name]) >= framework.PriorityOf(d.object) {
			t.Fatalf("%s evicts %s, which is as important", d.object.Name, v.Name)
		}
	}
	if d.node == nil {
		return
	}
	g.inFlight = append(g.inFlight, d)
	var used framework.Resources
	ports := map[pods.HostPort]int{}
	for _, p := range g.state.pods {
		if p.Node == d.node {
			object := g.stored[p.ref().Name]
			r := framework.RequestsOf(object)
			used.Add(&r, 1)
			for _, hp := range pods.HostPorts(&object.Spec) {
				ports[hp]++
			}
		}
	}
	if have := d.node.Allocatable; used.CPU > have.CPU || used.Memory > have.Memory || used.Pods > have.Pods {
		// Pods bound by somebody else may overcommit the node; a decision must not add to that.
		if r := framework.RequestsOf(d.object); used.Pods > have.Pods || r.CPU > 0 && used.CPU > have.CPU || r.Memory > 0 && used.Memory > have.Memory {
			t.Fatalf("%s has %+v and is given %+v", d.name, have, used)
		}
	}
	for _, hp := range pods.HostPorts(&d.object.Spec) {
		if ports[hp] > 1 {
			t.Fatalf("%s has port %d twice", d.name, hp.Port)
		}
	}
}

// bind ends a decision made some time ago: the pod is bound, or its binding fails.
func (g *model) bind(t *rapid.T) {
	if len(g.inFlight) == 0 {
		return
	}
	i := rapid.IntRange(0, len(g.inFlight)-1).Draw(t, "decision")
	d := g.inFlight[i]
	g.inFlight = slices.Delete(g.inFlight, i, i+1)
	p := g.stored[d.object.Name]
	if rapid.Bool().Draw(t, "fails") || p == nil || p.UID != d.object.UID || p.Spec.NodeName != "" || p.DeletionTimestamp != nil {
		g.state.bindFailed(d, g.now)
		return
	}
	g.store(p, func(p *corev1.Pod) { p.Spec.NodeName = d.name })
}

// check computes all sums and counts again.
func (g *model) check(t *rapid.T) { checkKept(t, g.state) }

// checkKept compares the kept sums, and what filters and scores return by the kept counts, with those computed again.
func checkKept(t rapid.TB, s *schedulingState) {
	c := s.cluster
	for name, n := range c.Nodes {
		fresh := framework.NewNodeInfo(name)
		for _, p := range s.pods {
			if p.Node == n {
				fresh.Add(&p.PodInfo)
			}
		}
		if diff := cmp.Diff(accountingOf(fresh), accountingOf(n)); diff != "" {
			t.Fatalf("sums of %s (-computed again +kept):\n%s", name, diff)
		}
	}
	for _, p := range s.pods {
		if p.Node != nil && c.Nodes[p.Node.Name] != p.Node {
			t.Fatalf("%s is on an unknown node", p.Key)
		}
		if p.Node != nil && p.subqueue != notQueued {
			t.Fatalf("%s has a node and is queued", p.Key)
		}
	}
	for _, sig := range c.RecentSignatures {
		if sig.PreFilterState != nil {
			checkPreFilterState(t, c, sig)
		}
	}
}

// checkPreFilterState compares what filters and scores return by a kept pre-filter state with what they return by one made again.
func checkPreFilterState(t rapid.TB, c *framework.ClusterState, sig *framework.PodSignature) {
	state := sig.PreFilterState
	for i := range plugins.All {
		row := &plugins.All[i]
		if row.PreFilter == nil {
			continue
		}
		kept, skip := state.Own(i)
		again := row.PreFilter(nil, c, sig)
		if skip != (again == nil) {
			t.Fatalf("%s is skipped %v, computed again %v", row.Name, skip, again == nil)
		}
		if skip {
			continue
		}
		for _, n := range c.NodeList {
			if diff := cmp.Diff(resultsOf(row, state, again, n), resultsOf(row, state, kept, n)); diff != "" {
				t.Fatalf("results of %s for %s (-computed again +kept):\n%s", row.Name, n.Name, diff)
			}
		}
	}
}

func resultsOf(row *framework.Plugin, state *framework.PreFilterState, own any, n *framework.NodeInfo) []any {
	reasons, unresolvable := row.Filter(state, own, n)
	return []any{reasons, unresolvable, row.Score(state, own, n)}
}

func accountingOf(n *framework.NodeInfo) map[string]any {
	return map[string]any{
		"cpu": n.Requested.CPU, "memory": n.Requested.Memory, "pods": n.Requested.Pods, "weight": n.ScoredCPU, "ports": len(n.Ports),
		"signatures": len(n.Signatures), "terminating": len(n.Terminating), "known": len(n.Pods),
	}
}
