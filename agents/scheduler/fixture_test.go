package scheduler

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/scheduler/framework"
	"gantry/agents/scheduler/plugins"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// amounts are name and quantity by turns.
func amounts(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}

func aNode(name string, change ...func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}},
		Status:     corev1.NodeStatus{Allocatable: amounts("cpu", "4", "memory", "8Gi", "ephemeral-storage", "100Gi", "pods", "110")},
	}
	n.Status.Capacity = n.Status.Allocatable
	for _, f := range change {
		f(n)
	}
	return n
}

func nodeLabel(key, value string) func(*corev1.Node) {
	return func(n *corev1.Node) { n.Labels[key] = value }
}

func allocatable(pairs ...string) func(*corev1.Node) {
	return func(n *corev1.Node) {
		for name, q := range amounts(pairs...) {
			n.Status.Allocatable[name] = q
		}
	}
}

func taint(key, value string, effect corev1.TaintEffect) func(*corev1.Node) {
	return func(n *corev1.Node) {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Value: value, Effect: effect})
	}
}

func cordoned(n *corev1.Node) { n.Spec.Unschedulable = true }

func aPod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(start)},
		Spec: corev1.PodSpec{
			SchedulerName: corev1.DefaultSchedulerName,
			Containers:    []corev1.Container{{Name: "c", Image: "app"}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
	for _, f := range change {
		f(p)
	}
	return p
}

func requests(pairs ...string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Requests = amounts(pairs...) }
}

func podLabel(key, value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		if p.Labels == nil {
			p.Labels = map[string]string{}
		}
		p.Labels[key] = value
	}
}

func on(node string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Spec.NodeName = node } }

func priority(n int32) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Spec.Priority = &n } }

func hostPortOf(n int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].Ports = append(p.Spec.Containers[0].Ports, corev1.ContainerPort{HostPort: n, ContainerPort: n, Protocol: corev1.ProtocolTCP})
	}
}

func selects(key, value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{key: value} }
}

func tolerating(key string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists})
	}
}

func ownedBy(uid string) func(*corev1.Pod) {
	yes := true
	return func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: uid, UID: types.UID(uid), Controller: &yes}}
	}
}

func matching(key, value string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
}

func near(topology, key, value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		affinityOf(p).PodAffinity = &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{LabelSelector: matching(key, value), TopologyKey: topology}}}
	}
}

func apart(topology, key, value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		affinityOf(p).PodAntiAffinity = &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{LabelSelector: matching(key, value), TopologyKey: topology}}}
	}
}

func affinityOf(p *corev1.Pod) *corev1.Affinity {
	if p.Spec.Affinity == nil {
		p.Spec.Affinity = &corev1.Affinity{}
	}
	return p.Spec.Affinity
}

func spreadOver(topology string, skew int32, key, value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.TopologySpreadConstraints = append(p.Spec.TopologySpreadConstraints, corev1.TopologySpreadConstraint{
			MaxSkew: skew, TopologyKey: topology, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: matching(key, value),
		})
	}
}

// newTestState returns a scheduling state with nodes and pods.
func newTestState(nodes []*corev1.Node, pods ...*corev1.Pod) *schedulingState {
	return newTestStateWith(plugins.All, nodes, pods...)
}

// testPlugins returns a set of plug-ins that log nothing.
func testPlugins(rows []framework.Plugin) *framework.PluginSet {
	return framework.NewPluginSet(rows, framework.Handle{Log: slog.New(slog.DiscardHandler)})
}

// newTestStateWith is newTestState with other plug-ins.
func newTestStateWith(rows []framework.Plugin, nodes []*corev1.Node, pods ...*corev1.Pod) *schedulingState {
	s := newSchedulingState(testPlugins(rows))
	s.setNamespace("default", map[string]string{}, start)
	for _, n := range nodes {
		s.setNode(n.Name, n, start)
	}
	for _, p := range pods {
		s.setPod(p, start)
	}
	return s
}

func nodesOf(n int, make func(i int) *corev1.Node) []*corev1.Node {
	var all []*corev1.Node
	for i := range n {
		all = append(all, make(i+1))
	}
	return all
}

func plainNodes(n int) []*corev1.Node {
	return nodesOf(n, func(i int) *corev1.Node { return aNode(fmt.Sprintf("n%d", i)) })
}

// mustScheduleOne schedules one pod.
func mustScheduleOne(t testing.TB, s *schedulingState, now time.Time) decision {
	t.Helper()
	d, ok := s.scheduleOne(now)
	if !ok {
		t.Fatal("no pod is active")
	}
	return d
}
