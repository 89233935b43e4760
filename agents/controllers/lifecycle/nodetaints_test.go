package lifecycle

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/controllers/plantest"
)

func makeNode(name string, status corev1.ConditionStatus, change ...func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name)}}
	if status != "" {
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}
	}
	for _, f := range change {
		f(n)
	}
	return n
}

func taintTexts(n *corev1.Node) (out []string) {
	for _, t := range n.Spec.Taints {
		out = append(out, strings.TrimPrefix(t.Key, "node.kubernetes.io/")+":"+string(t.Effect))
	}
	slices.Sort(out)
	return out
}

func TestNodeTaints(t *testing.T) {
	pressure := func(n *corev1.Node) {
		n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionTrue})
	}
	cordoned := func(n *corev1.Node) { n.Spec.Unschedulable = true }
	tainted := func(key string, effect corev1.TaintEffect) func(*corev1.Node) {
		return func(n *corev1.Node) { n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Effect: effect}) }
	}
	tests := []struct {
		name  string
		node  *corev1.Node
		evict bool
		want  []string
	}{
		{"ready", makeNode("a", corev1.ConditionTrue), true, nil},
		{"ready again", makeNode("a", corev1.ConditionTrue, tainted(corev1.TaintNodeNotReady, corev1.TaintEffectNoSchedule), tainted(corev1.TaintNodeUnreachable, corev1.TaintEffectNoExecute)), true, nil},
		{"not ready", makeNode("a", corev1.ConditionFalse), true, []string{"not-ready:NoExecute", "not-ready:NoSchedule"}},
		{"not ready, eviction not allowed", makeNode("a", corev1.ConditionFalse), false, []string{"not-ready:NoSchedule"}},
		{"not posted yet", makeNode("a", ""), false, []string{"not-ready:NoSchedule"}},
		{"unreachable after not ready", makeNode("a", corev1.ConditionUnknown, tainted(corev1.TaintNodeNotReady, corev1.TaintEffectNoExecute)), true, []string{"unreachable:NoExecute", "unreachable:NoSchedule"}},
		{"memory pressure", makeNode("a", corev1.ConditionTrue, pressure), true, []string{"memory-pressure:NoSchedule"}},
		{"cordoned", makeNode("a", corev1.ConditionTrue, cordoned), true, []string{"unschedulable:NoSchedule"}},
		{"others' taints stay", makeNode("a", corev1.ConditionTrue, tainted("gpu", corev1.TaintEffectNoSchedule), tainted("node.kubernetes.io/not-ready", corev1.TaintEffectPreferNoSchedule)), true, []string{"gpu:NoSchedule", "not-ready:PreferNoSchedule"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := tt.node.DeepCopy()
			for _, a := range planNode(tt.node, false, tt.evict, plantest.Now) {
				n = a.Object.(*corev1.Node)
			}
			if diff := cmp.Diff(tt.want, taintTexts(n)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if again := planNode(n, false, tt.evict, plantest.Now); len(again) > 0 {
				t.Errorf("nothing changed, and the plan is %v", again)
			}
		})
	}
}

func TestUnreachableNode(t *testing.T) {
	plan := planNode(makeNode("a", corev1.ConditionTrue), true, false, plantest.Now)
	n := plan[len(plan)-1].Object.(*corev1.Node)
	if c := nodeCondition(n, corev1.NodeReady); c.Status != corev1.ConditionUnknown || c.Reason != "NodeStatusUnknown" || c.Message != "Kubelet stopped posting node status." {
		t.Errorf("Ready is %v", c)
	}
	if c := nodeCondition(n, corev1.NodeDiskPressure); c == nil || c.Reason != "NodeStatusNeverUpdated" {
		t.Errorf("DiskPressure is %v, want NodeStatusNeverUpdated", c)
	}
	if plan[0].Event == nil || plan[0].Event.Reason != "NodeNotReady" {
		t.Errorf("event %v, want NodeNotReady", plan[0].Event)
	}
	if again := planNode(n, true, false, plantest.Now); len(again) > 0 {
		t.Errorf("nothing changed, and the plan is %v", again)
	}
}
