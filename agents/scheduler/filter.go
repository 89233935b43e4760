package scheduler

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
)

// filter is one reason why a pod may not run on a node.
type filter struct {
	name string // as Kubernetes calls its plugin
	doc  string
	// beyond tells that it looks further than the node and the pods on it: what it says of a node may change while the
	// node does not.
	beyond bool
	// explain says why a pod of y's class does not fit n, in Kubernetes' words; nil: it fits. hopeless tells that it
	// would not either if pods on n were evicted.
	explain func(y *cycle, n *node) (reasons []string, hopeless bool)
}

// filters are asked in this order; the first that has a reason speaks for the node. Those that look beyond the
// node come last, so that what the others say can be kept.
var filters = []filter{
	{name: "NodeUnschedulable", doc: "the node is not cordoned, or the pod tolerates that", explain: filterUnschedulable},
	{name: "TaintToleration", doc: "the pod tolerates every taint that keeps pods away", explain: filterTaints},
	{name: "NodeAffinity", doc: "the node has the labels the pod requires", explain: filterNodeAffinity},
	{name: "NodePorts", doc: "the host ports the pod wants are free", explain: filterPorts},
	{name: "NodeResourcesFit", doc: "what the pod requests is left on the node", explain: filterResources},
	{name: "PodTopologySpread", doc: "the pod may go there without a greater skew than allowed", beyond: true, explain: filterSpread},
	{name: "InterPodAffinity", doc: "the pods near the node are those it wants, and none it or they repel", beyond: true, explain: filterPodAffinity},
}

func filterUnschedulable(y *cycle, n *node) ([]string, bool) {
	taint := corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}
	if n.object.Spec.Unschedulable && !tolerates(y.c.tolerations, &taint) {
		return []string{"node(s) were unschedulable"}, true
	}
	return nil, false
}

func filterTaints(y *cycle, n *node) ([]string, bool) {
	if t := untolerated(n.object.Spec.Taints, y.c.tolerations); t != nil {
		return []string{fmt.Sprintf("node(s) had untolerated taint {%s: %s}", t.Key, t.Value)}, true
	}
	return nil, false
}

// untolerated is the first taint that keeps a pod away; nil: none does.
func untolerated(taints []corev1.Taint, tolerations []corev1.Toleration) *corev1.Taint {
	for i := range taints {
		t := &taints[i]
		if t.Effect != corev1.TaintEffectPreferNoSchedule && !tolerates(tolerations, t) {
			return t
		}
	}
	return nil
}

func tolerates(tolerations []corev1.Toleration, taint *corev1.Taint) bool {
	for i := range tolerations {
		if tolerations[i].ToleratesTaint(klog.Logger{}, taint, true) {
			return true
		}
	}
	return false
}

func filterNodeAffinity(y *cycle, n *node) ([]string, bool) {
	if ok, err := y.c.required.Match(n.object); !ok || err != nil {
		return []string{"node(s) didn't match Pod's node affinity/selector"}, true
	}
	return nil, false
}

func filterPorts(y *cycle, n *node) ([]string, bool) {
	for _, want := range y.c.ports {
		for have := range n.ports {
			if want.clash(have) {
				return []string{"node(s) didn't have free ports for the requested pod ports"}, false
			}
		}
	}
	return nil, false
}

func filterResources(y *cycle, n *node) ([]string, bool) { return n.fits(y.c) }

func filterSpread(y *cycle, n *node) ([]string, bool) {
	for i := range y.c.spread {
		t := &y.c.spread[i]
		if !t.hard {
			continue
		}
		d := &y.spread[i]
		at := d.at[n.slot]
		if at < 0 {
			return []string{"node(s) didn't match pod topology spread constraints (missing required label)"}, true
		}
		self := 0
		if t.counts(y.c, y.c) {
			self = 1
		}
		if d.counts[at]+self-d.low(t.minDomains) > t.maxSkew {
			return []string{"node(s) didn't match pod topology spread constraints"}, false
		}
	}
	return nil, false
}

func filterPodAffinity(y *cycle, n *node) ([]string, bool) {
	if !y.wantsToBe(n) {
		return []string{"node(s) didn't match pod affinity rules"}, true
	}
	for i := range y.c.anti {
		if value, ok := n.label(y.c.anti[i].key); ok && y.ours[y.c.anti[i].key][value] > 0 {
			return []string{"node(s) didn't match pod anti-affinity rules"}, false
		}
	}
	if len(y.theirs) == 0 {
		return nil, false
	}
	for key, pods := range y.theirs {
		if value, ok := n.label(key); ok && pods[value] > 0 {
			return []string{"node(s) didn't satisfy existing pods anti-affinity rules"}, false
		}
	}
	return nil, false
}

// wantsToBe tells whether every required affinity term has a pod near n. The first pod of a group that wants
// only its like may go anywhere: else none could ever start.
func (y *cycle) wantsToBe(n *node) bool {
	near := true
	for i := range y.c.affinity {
		value, ok := n.label(y.c.affinity[i].key)
		if !ok {
			return false
		}
		near = near && y.wanted[i][value] > 0
	}
	return near || y.friend == 0 && matchesAll(y.c.affinity, y.c, y.w.namespaces)
}
