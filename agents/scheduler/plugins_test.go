package scheduler

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// TestExplanations compares the explanation of a pod that fits no node, or the node that it fits.
func TestExplanations(t *testing.T) {
	zoned := func(name, zone string) *corev1.Node { return aNode(name, nodeLabel(corev1.LabelTopologyZone, zone)) }
	web := podLabel("app", "web")
	tests := []struct {
		name  string
		nodes []*corev1.Node
		pods  []*corev1.Pod // known before
		pod   *corev1.Pod
		want  string // "-> node" or the explanation
	}{
		{name: "no nodes", pod: aPod("p"), want: "no nodes available to schedule pods"},
		{name: "fits", nodes: plainNodes(1), pod: aPod("p", requests("cpu", "4", "memory", "8Gi")), want: "-> n1"},
		{name: "resources and taints", nodes: []*corev1.Node{aNode("n1"), aNode("n2", taint("dedicated", "db", corev1.TaintEffectNoSchedule)), aNode("n3", taint("dedicated", "db", corev1.TaintEffectNoExecute))},
			pods: []*corev1.Pod{aPod("a", requests("cpu", "3"), on("n1"))}, pod: aPod("p", requests("cpu", "2")),
			want: "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {dedicated: db}. preemption: 0/3 nodes are available: 1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling."},
		{name: "more than any node has", nodes: plainNodes(2), pod: aPod("p", requests("cpu", "5", "memory", "9Gi", "ephemeral-storage", "1Ti", "example.com/gpu", "1")),
			want: "0/2 nodes are available: 2 Insufficient cpu, 2 Insufficient ephemeral-storage, 2 Insufficient example.com/gpu, 2 Insufficient memory. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."},
		{name: "too many pods", nodes: []*corev1.Node{aNode("n1", allocatable("pods", "1"))}, pods: []*corev1.Pod{aPod("a", on("n1"))}, pod: aPod("p"),
			want: "0/1 nodes are available: 1 Too many pods. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."},
		{name: "an ended pod takes nothing", nodes: []*corev1.Node{aNode("n1", allocatable("pods", "1"))}, pods: []*corev1.Pod{aPod("a", on("n1"), func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })}, pod: aPod("p"), want: "-> n1"},
		{name: "init containers and sidecars", nodes: plainNodes(1), pod: aPod("p", requests("cpu", "1"), func(p *corev1.Pod) {
			always := corev1.ContainerRestartPolicyAlways
			p.Spec.InitContainers = []corev1.Container{
				{Name: "s", RestartPolicy: &always, Resources: corev1.ResourceRequirements{Requests: amounts("cpu", "1")}},
				{Name: "i", Resources: corev1.ResourceRequirements{Requests: amounts("cpu", "3")}},
			}
			p.Spec.Overhead = amounts("cpu", "1m")
		}), want: "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."},
		{name: "cordoned", nodes: []*corev1.Node{aNode("n1", cordoned)}, pod: aPod("p"),
			want: "0/1 nodes are available: 1 node(s) were unschedulable. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."},
		{name: "cordoned and tolerated", nodes: []*corev1.Node{aNode("n1", cordoned)}, pod: aPod("p", tolerating(corev1.TaintNodeUnschedulable)), want: "-> n1"},
		{name: "selector", nodes: []*corev1.Node{aNode("n1"), aNode("n2", nodeLabel("disk", "ssd"))}, pod: aPod("p", selects("disk", "ssd")), want: "-> n2"},
		{name: "selector of no node", nodes: plainNodes(2), pod: aPod("p", selects("disk", "ssd")),
			want: "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."},
		{name: "host port", nodes: plainNodes(1), pods: []*corev1.Pod{aPod("a", hostPortOf(80), on("n1"))}, pod: aPod("p", hostPortOf(80)),
			want: "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."},
		{name: "other host port", nodes: plainNodes(1), pods: []*corev1.Pod{aPod("a", hostPortOf(80), on("n1"))}, pod: aPod("p", hostPortOf(81)), want: "-> n1"},
		{name: "near", nodes: []*corev1.Node{zoned("n1", "a"), zoned("n2", "b")}, pods: []*corev1.Pod{aPod("a", web, on("n2"))}, pod: aPod("p", near(corev1.LabelTopologyZone, "app", "web")), want: "-> n2"},
		{name: "near nobody", nodes: plainNodes(1), pod: aPod("p", near(corev1.LabelHostname, "app", "web")),
			want: "0/1 nodes are available: 1 node(s) didn't match pod affinity rules. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."},
		{name: "near its like, the first", nodes: plainNodes(1), pod: aPod("p", web, near(corev1.LabelHostname, "app", "web")), want: "-> n1"},
		{name: "near, in another namespace", nodes: plainNodes(1), pods: []*corev1.Pod{aPod("a", web, on("n1"), func(p *corev1.Pod) { p.Namespace = "other" })}, pod: aPod("p", near(corev1.LabelHostname, "app", "web")),
			want: "0/1 nodes are available: 1 node(s) didn't match pod affinity rules. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."},
		{name: "apart", nodes: plainNodes(2), pods: []*corev1.Pod{aPod("a", web, on("n1"))}, pod: aPod("p", web, apart(corev1.LabelHostname, "app", "web")), want: "-> n2"},
		{name: "apart, no node left", nodes: plainNodes(1), pods: []*corev1.Pod{aPod("a", web, on("n1"))}, pod: aPod("p", apart(corev1.LabelHostname, "app", "web")),
			want: "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."},
		{name: "repelled by those there", nodes: plainNodes(1), pods: []*corev1.Pod{aPod("a", apart(corev1.LabelHostname, "app", "web"), on("n1"))}, pod: aPod("p", web),
			want: "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."},
		{name: "spread", nodes: []*corev1.Node{zoned("n1", "a"), zoned("n2", "b"), aNode("n3")}, pods: []*corev1.Pod{aPod("a", web, on("n1"))}, pod: aPod("p", web, spreadOver(corev1.LabelTopologyZone, 1, "app", "web")), want: "-> n2"},
		{name: "spread, skewed", nodes: []*corev1.Node{zoned("n1", "a"), aNode("n2", nodeLabel(corev1.LabelTopologyZone, "b"), cordoned), aNode("n3")}, pods: []*corev1.Pod{aPod("a", web, on("n1"))}, pod: aPod("p", web, spreadOver(corev1.LabelTopologyZone, 1, "app", "web")),
			want: "0/3 nodes are available: 1 node(s) didn't match pod topology spread constraints, 1 node(s) didn't match pod topology spread constraints (missing required label), 1 node(s) were unschedulable. preemption: 0/3 nodes are available: 1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling."},
		{name: "never preempts", nodes: []*corev1.Node{aNode("n1", allocatable("pods", "1"))}, pods: []*corev1.Pod{aPod("a", on("n1"))}, pod: aPod("p", priority(5), func(p *corev1.Pod) { never := corev1.PreemptNever; p.Spec.PreemptionPolicy = &never }),
			want: "0/1 nodes are available: 1 Too many pods. preemption: not eligible due to preemptionPolicy=Never."},
		{name: "hostile amounts", nodes: plainNodes(1), pod: aPod("p", requests("cpu", "9E", "memory", "-5")),
			want: "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newTestState(tt.nodes, tt.pods...)
			s.setPod(tt.pod, start)
			d := mustScheduleOne(t, s, start)
			got := "-> " + d.name
			if d.node == nil {
				got = d.why.String()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestChoice(t *testing.T) {
	preferNode := func(p *corev1.Pod) {
		affinityOf(p).NodeAffinity = &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{
			{Weight: 10, Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "disk", Operator: corev1.NodeSelectorOpIn, Values: []string{"ssd"}}}}},
		}}
	}
	preferPods := func(p *corev1.Pod) {
		affinityOf(p).PodAffinity = &corev1.PodAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{
			{Weight: 10, PodAffinityTerm: corev1.PodAffinityTerm{LabelSelector: matching("app", "cache"), TopologyKey: corev1.LabelHostname}},
		}}
	}
	tests := []struct {
		name  string
		nodes []*corev1.Node
		pods  []*corev1.Pod
		pod   *corev1.Pod
		want  string
	}{
		{"the emptier node", plainNodes(2), []*corev1.Pod{aPod("a", requests("cpu", "2"), on("n1"))}, aPod("p"), "n2"},
		{"the more balanced node", plainNodes(2), []*corev1.Pod{aPod("a", requests("cpu", "2", "memory", "1Mi"), on("n1")), aPod("b", requests("cpu", "1m", "memory", "4Gi"), on("n2"))}, aPod("p", requests("cpu", "2", "memory", "1Mi")), "n2"},
		{"away from its like", plainNodes(2), []*corev1.Pod{aPod("a", ownedBy("rs"), on("n1")), aPod("b", requests("cpu", "500m"), on("n2"))}, aPod("p", ownedBy("rs")), "n2"},
		{"the preferred node", []*corev1.Node{aNode("n1"), aNode("n2", nodeLabel("disk", "ssd"))}, []*corev1.Pod{aPod("a", requests("cpu", "1"), on("n2"))}, aPod("p", preferNode), "n2"},
		{"near preferred pods", plainNodes(2), []*corev1.Pod{aPod("a", podLabel("app", "cache"), requests("cpu", "1"), on("n2"))}, aPod("p", preferPods), "n2"},
		{"not the tainted node", []*corev1.Node{aNode("n1", taint("slow", "", corev1.TaintEffectPreferNoSchedule)), aNode("n2")}, []*corev1.Pod{aPod("a", requests("cpu", "2"), on("n2"))}, aPod("p"), "n2"},
		{"where the image is", []*corev1.Node{aNode("n1"), aNode("n2", func(n *corev1.Node) {
			n.Status.Images = []corev1.ContainerImage{{Names: []string{"app:latest"}, SizeBytes: 1 << 30}}
		})}, nil, aPod("p"), "n2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newTestState(tt.nodes, tt.pods...)
			s.setPod(tt.pod, start)
			if d := mustScheduleOne(t, s, start); d.name != tt.want {
				t.Errorf("chose %q, want %q", d.name, tt.want)
			}
		})
	}
}
