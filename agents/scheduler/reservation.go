package scheduler

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/scheduler/framework"
)

// decision is the result of scheduling one pod.
type decision struct {
	pod      *pod
	object   *corev1.Pod         // as it was when the decision was made
	node     *framework.NodeInfo // the chosen node, where the pod is assumed; nil: no node fits, or reserve failed
	target   *corev1.Node
	name     string                 // of the node
	plugins  *framework.PluginSet   // of the pod's profile
	reserved []any                  // by plug-in: what reserve returned; nil: no plug-in reserves
	why      *framework.Explanation // nil: a node was chosen
	evict    eviction               // the victims of preemption; empty: none
	panicked error                  // the panic, with its stack, that ended the attempt; nil: none
	attempt  int
	since    time.Time // when it was first queued
}

// reserve runs the plug-ins' reserve for d and assumes its pod on the chosen node. Where a plug-in fails the pod is retried after its
// back-off, and d says why.
func (s *schedulingState) reserve(d *decision, now time.Time) {
	reserved, err := d.plugins.Reserve(d.object, d.node.Object)
	if err != nil {
		d.node, d.why = nil, &framework.Explanation{Fault: err}
		s.queue.requeueAfterBackoff(d.pod, now)
		return
	}
	d.name, d.target, d.reserved = d.node.Name, d.node.Object, reserved
	d.pod.assumed = true
	s.addToNode(d.pod, d.node, now)
}

// unreserve runs the plug-ins' unreserve for d and requeues the unschedulable pods, which what was reserved may help.
func (s *schedulingState) unreserve(d decision, now time.Time) {
	if d.reserved == nil {
		return
	}
	d.plugins.Unreserve(d.object, d.target, d.reserved)
	s.cluster.Version++
	s.requeueUnschedulable(now, func(*framework.PodSignature) bool { return true })
}

// bindFailed unreserves and forgets an assumed pod that was not bound and retries it after its back-off. The pod itself stays as it is
// where the watch reported it as bound, deleted or replaced meanwhile.
func (s *schedulingState) bindFailed(d decision, now time.Time) {
	s.unreserve(d, now)
	p := d.pod
	if s.pods[p.Key] != p || !p.assumed {
		return
	}
	s.removeFromNode(p, now)
	s.enqueue(p, false)
	if p.subqueue == active {
		s.queue.requeueAfterBackoff(p, now)
	}
}

// stopPreBind ends the context of a pod's pre-bind, if it has one.
func (p *pod) stopPreBind() {
	if p.cancelPreBind != nil {
		p.cancelPreBind()
		p.cancelPreBind = nil
	}
}
