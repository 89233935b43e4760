package scheduler

import (
	"errors"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/agents/scheduler/framework"
	"gantry/registry/safely"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/pods"
)

// schedulingState applies changes and chooses the next pod and its node. It has no side effects and reads no clock. Not safe for
// concurrent use.
type schedulingState struct {
	cluster  *framework.ClusterState
	pods     map[string]*pod              // by key
	budgets  map[string]map[string]budget // by namespace and name
	queue    *queue
	arrivals int64
}

func newSchedulingState(profiles ...*framework.PluginSet) *schedulingState {
	return &schedulingState{cluster: framework.NewClusterState(profiles...), pods: map[string]*pod{}, budgets: map[string]map[string]budget{}, queue: newQueue()}
}

// SetNamespace sets a namespace's labels; nil: it was deleted.
func (s *schedulingState) setNamespace(name string, set labels.Set, now time.Time) {
	_, known := s.cluster.Namespaces[name]
	if s.cluster.SetNamespace(name, set) {
		s.clusterChanged(core.Namespace, framework.ActionOf(known, set != nil), nil, now)
	}
}

// SetNode sets a node's object; nil: it was deleted.
func (s *schedulingState) setNode(name string, object *corev1.Node, now time.Time) {
	n := s.cluster.Nodes[name]
	known := n != nil && n.Object != nil
	if s.cluster.SetNode(name, object) {
		s.clusterChanged(core.Node, framework.ActionOf(known, object != nil), s.cluster.Nodes[name], now)
	}
}

// objectChanged is called after a change of an object that the cluster state does not hold.
func (s *schedulingState) objectChanged(kind *schema.Kind, action framework.Action, now time.Time) {
	if s.cluster.ObjectChanged(framework.ClusterEvent{Kind: kind, Actions: action}) {
		s.clusterChanged(kind, action, nil, now)
	}
}

// clusterChanged requeues the unschedulable pods that a change may help. n is the node that it is about; nil: none.
func (s *schedulingState) clusterChanged(kind *schema.Kind, action framework.Action, n *framework.NodeInfo, now time.Time) {
	event := framework.ClusterEvent{Kind: kind, Actions: action}
	s.requeueUnschedulable(now, func(sig *framework.PodSignature) bool { return s.cluster.MayHelp(sig, event, n) })
}

// requeueUnschedulable requeues the unschedulable pods of every signature that a change may help.
func (s *schedulingState) requeueUnschedulable(now time.Time, helps func(sig *framework.PodSignature) bool) {
	for sig := range s.queue.unschedulable {
		if helps(sig) {
			s.queue.requeueSignature(sig, now)
		}
	}
}

// setPod sets a pod's object.
func (s *schedulingState) setPod(object *corev1.Pod, now time.Time) {
	key := keyOf(object.Namespace, object.Name)
	p := s.pods[key]
	if p != nil && p.UID != object.UID {
		s.deletePod(object.Namespace, object.Name, now)
		p = nil
	}
	if pods.IsTerminal(object) {
		s.deletePod(object.Namespace, object.Name, now)
		return
	}
	if p == nil {
		s.arrivals++
		p = &pod{PodInfo: framework.PodInfo{Key: key}, UID: object.UID, object: object, arrival: s.arrivals, queuedAt: now}
		s.pods[key] = p
	}
	changed := s.updatePod(p, object)
	if n := s.cluster.Nodes[object.Status.NominatedNodeName]; n != nil && p.attempts == 0 && object.Spec.NodeName == "" {
		s.cluster.Nominate(&p.PodInfo, n) // by the former leader
	}
	switch {
	case object.Spec.NodeName != "":
		s.podBound(p, object.Spec.NodeName, changed, now)
	case p.assumed:
	case p.Node != nil: // spec.nodeName was emptied by hand in etcd
		s.removeFromNode(p, now)
		s.queue.move(p, active)
	default:
		s.enqueue(p, changed)
	}
}

// updatePod sets p's object and returns whether its signature changed.
func (s *schedulingState) updatePod(p *pod, object *corev1.Pod) (changed bool) {
	sig := s.cluster.SignatureOf(object)
	if changed = p.Signature != sig; changed {
		was := p.subqueue
		s.queue.move(p, notQueued)
		p.object = object
		s.cluster.SetSignature(&p.PodInfo, sig)
		s.queue.move(p, was)
	}
	p.object = object
	deleted := object.DeletionTimestamp != nil
	if deleted {
		p.stopPreBind()
	}
	p.evicting = p.evicting && !deleted
	s.cluster.SetTerminating(&p.PodInfo, deleted || p.evicting)
	return changed
}

// podBound accounts for a pod whose spec.nodeName is set; changed: its signature changed.
func (s *schedulingState) podBound(p *pod, name string, changed bool, now time.Time) {
	s.queue.move(p, notQueued)
	p.assumed, p.object = false, nil
	if p.Node != nil && p.Node.Name == name {
		if changed {
			s.clusterChanged(core.Pod, framework.Update, p.Node, now)
		}
		return
	}
	if p.Node != nil {
		s.removeFromNode(p, now)
	}
	s.addToNode(p, s.cluster.NodeNamed(name), now)
}

// enqueue moves a pod without a node to the subqueue it belongs to.
func (s *schedulingState) enqueue(p *pod, changed bool) {
	switch {
	case p.object.DeletionTimestamp != nil || s.cluster.Profile(p.object.Spec.SchedulerName) == nil:
		s.queue.move(p, notQueued)
		s.cluster.Nominate(&p.PodInfo, nil)
	case len(p.object.Spec.SchedulingGates) > 0:
		s.queue.move(p, gated)
	case p.subqueue == notQueued || p.subqueue == gated || changed:
		s.queue.move(p, active)
	}
}

// deletePod forgets a pod that was deleted or has ended.
func (s *schedulingState) deletePod(namespace, name string, now time.Time) {
	key := keyOf(namespace, name)
	p := s.pods[key]
	if p == nil {
		return
	}
	s.queue.move(p, notQueued)
	p.stopPreBind()
	s.cluster.Nominate(&p.PodInfo, nil)
	delete(s.pods, key)
	if p.Node != nil {
		s.removeFromNode(p, now)
	}
	s.cluster.SetSignature(&p.PodInfo, nil)
}

// addToNode accounts for p on n and requeues the pods that this may help.
func (s *schedulingState) addToNode(p *pod, n *framework.NodeInfo, now time.Time) {
	s.cluster.Nominate(&p.PodInfo, nil)
	s.cluster.AddPod(&p.PodInfo, n)
	s.clusterChanged(core.Pod, framework.Add, n, now)
}

// removeFromNode stops accounting for p on its node and requeues the pods that this may help.
func (s *schedulingState) removeFromNode(p *pod, now time.Time) {
	n := p.Node
	s.cluster.RemovePod(&p.PodInfo)
	p.assumed = false
	s.clusterChanged(core.Pod, framework.Delete, n, now)
	for info := range n.Nominated {
		o := s.pods[info.Key]
		if o.subqueue == unschedulable && !s.waitsForVictims(o) { // its victims are gone: it fits now, or preempts others
			s.queue.requeueAfterBackoff(o, now)
		}
	}
}

// scheduleOne takes the first active pod and chooses a node for it; ok is false where no pod is active.
func (s *schedulingState) scheduleOne(now time.Time) (d decision, ok bool) {
	p := s.queue.pop()
	if p == nil {
		return decision{}, false
	}
	p.attempts++
	p.attemptedAt = now
	d = decision{pod: p, object: p.object, plugins: p.Signature.Plugins, attempt: p.attempts, since: p.queuedAt}
	err := safely.Call(func() error {
		s.decide(&d, now)
		return nil
	})
	if err != nil {
		s.undo(&d, err, now)
	}
	return d, true
}

// decide chooses a node for d's pod and reserves there what it needs.
func (s *schedulingState) decide(d *decision, now time.Time) {
	d.node, d.why = s.cluster.SelectNode(d.pod.Signature)
	if d.node == nil {
		d.evict = s.preempt(d.pod, d.why)
		s.queue.move(d.pod, unschedulable)
		return
	}
	s.reserve(d, now)
}

// undo takes back what was done for a decision until a panic, and retries its pod after its back-off.
func (s *schedulingState) undo(d *decision, panicked error, now time.Time) {
	s.cluster.DropPreFilterStates() // their counts may be incomplete
	s.bindFailed(*d, now)
	if d.pod.subqueue == notQueued {
		s.queue.requeueAfterBackoff(d.pod, now)
	}
	text, _, _ := strings.Cut(panicked.Error(), "\n") // the stack follows
	d.node, d.panicked, d.why = nil, panicked, &framework.Explanation{Fault: errors.New(text)}
}

// conditionNotWritten retries an unschedulable pod whose condition was not written after its back-off; it is reported again then.
func (s *schedulingState) conditionNotWritten(p *pod, now time.Time) {
	if s.pods[p.Key] != p {
		return
	}
	p.reportedText = ""
	if p.subqueue == unschedulable {
		s.queue.requeueAfterBackoff(p, now)
	}
}
