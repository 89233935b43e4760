package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/schema/core"
)

func nodeCondition(n *corev1.Node, t corev1.NodeConditionType) *corev1.NodeCondition {
	for i := range n.Status.Conditions {
		if n.Status.Conditions[i].Type == t {
			return &n.Status.Conditions[i]
		}
	}
	return nil
}

func nodeReady(n *corev1.Node) bool {
	c := nodeCondition(n, corev1.NodeReady)
	return c != nil && c.Status == corev1.ConditionTrue
}

// planNode decides the conditions and taints of a node. unreachable: its last heartbeat is older than the grace period.
// evict: it may get a NoExecute taint.
func planNode(node *corev1.Node, unreachable, evict bool, now time.Time) (plan []controller.Action) {
	n := node.DeepCopy()
	if unreachable && setUnknown(n, now) {
		a := controller.Action{Do: controller.UpdateStatus, Kind: core.Node, Object: n.DeepCopy(), Reason: "no heartbeat for the grace period"}
		if nodeReady(node) {
			a.Event = &controller.Event{Kind: core.Node, About: node, Reason: "NodeNotReady", Message: fmt.Sprintf("Node %s status is now: NodeNotReady", node.Name)}
		}
		plan = append(plan, a)
	}
	if changes := setTaints(n, evict, now); len(changes) > 0 {
		plan = append(plan, controller.Action{Do: controller.Update, Kind: core.Node, Object: n, Reason: "taints: " + strings.Join(changes, ", ")})
	}
	return plan
}

// setUnknown sets to Unknown every condition that the kubelet keeps up to date.
func setUnknown(n *corev1.Node, now time.Time) (changed bool) {
	for _, t := range []corev1.NodeConditionType{corev1.NodeReady, corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure} {
		c := nodeCondition(n, t)
		switch {
		case c == nil:
			n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{Type: t, Status: corev1.ConditionUnknown,
				Reason: "NodeStatusNeverUpdated", Message: "Kubelet never posted node status.", LastHeartbeatTime: n.CreationTimestamp, LastTransitionTime: metav1.NewTime(now)})
		case c.Status == corev1.ConditionUnknown:
			continue
		default:
			c.Status, c.Reason, c.Message = corev1.ConditionUnknown, "NodeStatusUnknown", "Kubelet stopped posting node status."
			c.LastTransitionTime = metav1.NewTime(now)
		}
		changed = true
	}
	return changed
}

// conditionTaints are the taints that follow from a condition of a status.
var conditionTaints = []struct {
	condition corev1.NodeConditionType
	status    corev1.ConditionStatus
	key       string
}{
	{corev1.NodeReady, corev1.ConditionFalse, corev1.TaintNodeNotReady},
	{corev1.NodeReady, corev1.ConditionUnknown, corev1.TaintNodeUnreachable},
	{corev1.NodeMemoryPressure, corev1.ConditionTrue, corev1.TaintNodeMemoryPressure},
	{corev1.NodeDiskPressure, corev1.ConditionTrue, corev1.TaintNodeDiskPressure},
	{corev1.NodePIDPressure, corev1.ConditionTrue, corev1.TaintNodePIDPressure},
	{corev1.NodeNetworkUnavailable, corev1.ConditionTrue, corev1.TaintNodeNetworkUnavailable},
}

// wantedTaints are the taints that follow from a node's conditions and spec.
func wantedTaints(n *corev1.Node, evict bool) (want []corev1.Taint) {
	for _, t := range conditionTaints {
		status := corev1.ConditionFalse // not posted yet: not ready, and no pressure
		if c := nodeCondition(n, t.condition); c != nil {
			status = c.Status
		}
		if status != t.status {
			continue
		}
		want = append(want, corev1.Taint{Key: t.key, Effect: corev1.TaintEffectNoSchedule})
		if t.condition == corev1.NodeReady && evict {
			want = append(want, corev1.Taint{Key: t.key, Effect: corev1.TaintEffectNoExecute})
		}
	}
	if n.Spec.Unschedulable {
		want = append(want, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule})
	}
	return want
}

// managedTaint tells a taint that this controller adds and removes.
func managedTaint(t corev1.Taint) bool {
	if t.Effect == corev1.TaintEffectNoExecute {
		return t.Key == corev1.TaintNodeNotReady || t.Key == corev1.TaintNodeUnreachable
	}
	return t.Effect == corev1.TaintEffectNoSchedule &&
		(t.Key == corev1.TaintNodeUnschedulable || slices.ContainsFunc(conditionTaints, func(o struct {
			condition corev1.NodeConditionType
			status    corev1.ConditionStatus
			key       string
		}) bool {
			return o.key == t.Key
		}))
}

// setTaints adds and removes managed taints and leaves others as they are. It returns what changed.
func setTaints(n *corev1.Node, evict bool, now time.Time) (changes []string) {
	want := wantedTaints(n, evict)
	same := func(a corev1.Taint) func(corev1.Taint) bool {
		return func(b corev1.Taint) bool { return a.Key == b.Key && a.Effect == b.Effect }
	}
	var next []corev1.Taint
	for _, t := range n.Spec.Taints {
		if managedTaint(t) && !slices.ContainsFunc(want, same(t)) {
			changes = append(changes, "-"+t.Key+":"+string(t.Effect))
			continue
		}
		next = append(next, t)
	}
	for _, t := range want {
		if !slices.ContainsFunc(next, same(t)) {
			added := metav1.NewTime(now)
			t.TimeAdded = &added
			next = append(next, t)
			changes = append(changes, "+"+t.Key+":"+string(t.Effect))
		}
	}
	n.Spec.Taints = next
	return changes
}
