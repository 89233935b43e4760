package explain

import (
	"fmt"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/admin/snapshot"
	"gantry/schema/coordination"
	"gantry/schema/core"
)

// node explains a node: what keeps it from running pods, and what its pods ask of it.
func (x *explainer) node(depth int, e *snapshot.Entry) {
	if x.deletion(depth, e) {
		return
	}
	n := e.Object.(*corev1.Node)
	if x.nodeHealthy(depth, e) {
		x.add(depth, true, e, "%s is ready", x.title(e))
	}
	if n.Spec.Unschedulable {
		x.add(depth+1, false, e, "it is cordoned: `kubectl uncordon %s`", n.Name)
	}
	for _, t := range n.Spec.Taints {
		if t.Key != corev1.TaintNodeUnschedulable {
			x.add(depth+1, false, e, "taint %s=%s:%s keeps off pods that do not tolerate it", t.Key, t.Value, t.Effect)
		}
	}
	for _, c := range n.Status.Conditions {
		if c.Type != corev1.NodeReady && c.Status != corev1.ConditionFalse {
			x.add(depth+1, false, e, "condition %s is %s: %s", c.Type, c.Status, firstLine(c.Message))
		}
	}
	if info := x.placement().State.Nodes[n.Name]; info != nil {
		r, have := &info.Requested, &info.Allocatable
		x.add(depth+1, true, nil, "%d of %d pods; requested %s", r.Pods, have.Pods,
			fmt.Sprintf("%dm of %dm cpu, %dMi of %dMi memory", r.CPU, have.CPU, r.Memory>>20, have.Memory>>20))
	}
	var bad []*snapshot.Entry
	for _, pod := range x.All(core.Pod, "") {
		if p := pod.Object.(*corev1.Pod); p.Spec.NodeName == n.Name && (p.DeletionTimestamp != nil || notReady(p)) {
			bad = append(bad, pod)
		}
	}
	x.some(depth+1, bad, x.pod)
	if depth == 0 {
		x.warnings(depth+1, e)
	}
}

// nodeHealthy returns whether a node is ready, and adds why it is not.
func (x *explainer) nodeHealthy(depth int, e *snapshot.Entry) bool {
	for _, c := range e.Object.(*corev1.Node).Status.Conditions {
		if c.Type != corev1.NodeReady || c.Status == corev1.ConditionTrue {
			continue
		}
		x.add(depth, false, e, "%s is not ready for %s: %s: %s", x.title(e), x.since(c.LastTransitionTime.Time), c.Reason, firstLine(c.Message))
		lease := x.Get(coordination.Lease, corev1.NamespaceNodeLease, e.Object.GetName())
		if lease == nil {
			x.add(depth+1, false, nil, "its kubelet renews no Lease %s/%s", corev1.NamespaceNodeLease, e.Object.GetName())
		} else if t := lease.Object.(*coordinationv1.Lease).Spec.RenewTime; t != nil {
			x.add(depth+1, false, lease, "its kubelet last renewed its Lease %s ago", x.since(t.Time))
		}
		return false
	}
	return true
}
