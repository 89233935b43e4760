package scheduler

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// brain takes in changes and decides: which pod is next and where it goes. It does nothing itself and reads no
// clock. Not safe for concurrent use.
type brain struct {
	schedulerName string
	world         *world
	queue         *queue
	arrivals      int64
}

func newBrain(schedulerName string) *brain {
	return &brain{schedulerName: schedulerName, world: newWorld(), queue: newQueue()}
}

// namespace takes in a namespace's labels; nil: it is gone.
func (b *brain) namespace(name string, set labels.Set, now time.Time) {
	if b.world.setNamespace(name, set) {
		b.wake(now, (*class).looksFar)
	}
}

// node takes in a node; nil: it is gone.
func (b *brain) node(name string, object *corev1.Node, now time.Time) {
	if !b.world.setNode(name, object) {
		return
	}
	n := b.world.nodes[name]
	b.wake(now, func(c *class) bool { return c.looksFar() || n != nil && b.world.fitsAlone(c, n) })
}

// wake retries the parked pods of every class for which something changed that might help.
func (b *brain) wake(now time.Time, helps func(c *class) bool) {
	for c := range b.queue.parked {
		if helps(c) {
			b.queue.wake(c, now)
		}
	}
}

// pod takes in a pod's state.
func (b *brain) pod(object *corev1.Pod, now time.Time) {
	key := keyOf(object.Namespace, object.Name)
	p := b.world.pods[key]
	if p != nil && p.uid != object.UID {
		b.gone(object.Namespace, object.Name, now)
		p = nil
	}
	if ended(object) {
		b.gone(object.Namespace, object.Name, now)
		return
	}
	if p == nil {
		b.arrivals++
		p = &pod{key: key, uid: object.UID, object: object, seq: b.arrivals, queued: now}
		b.world.pods[key] = p
	}
	changed := b.update(p, object)
	if n := b.world.nodes[object.Status.NominatedNodeName]; n != nil && p.attempts == 0 && object.Spec.NodeName == "" {
		b.world.nominate(p, n) // by the leader before
	}
	switch {
	case object.Spec.NodeName != "":
		b.bound(p, object.Spec.NodeName, now)
	case p.assumed:
	case p.node != nil: // a hand took the node out of it
		b.freed(p, now)
		b.queue.move(p, active)
	default:
		b.waiting(p, changed)
	}
}

// update gives p its new state and tells whether it is of another class now.
func (b *brain) update(p *pod, object *corev1.Pod) (changed bool) {
	c := b.world.classOf(object)
	if changed = p.class != c; changed {
		at := p.place
		b.queue.move(p, nowhere)
		p.object = object
		b.world.setClass(p, c)
		b.queue.move(p, at)
	}
	p.object = object
	deleted := object.DeletionTimestamp != nil
	p.evicted = p.evicted && !deleted
	b.world.setLeaving(p, deleted || p.evicted)
	return changed
}

// bound accounts for a pod that has a node.
func (b *brain) bound(p *pod, name string, now time.Time) {
	b.queue.move(p, nowhere)
	p.assumed, p.object = false, nil
	if p.node != nil && p.node.name == name {
		return
	}
	if p.node != nil {
		b.freed(p, now)
	}
	b.place(p, b.world.node(name), now)
}

// waiting puts a pod that has no node where it belongs.
func (b *brain) waiting(p *pod, changed bool) {
	switch {
	case p.object.DeletionTimestamp != nil || p.object.Spec.SchedulerName != b.schedulerName:
		b.queue.move(p, nowhere)
		b.world.nominate(p, nil)
	case len(p.object.Spec.SchedulingGates) > 0:
		b.queue.move(p, gated)
	case p.place == nowhere || p.place == gated || changed:
		b.queue.move(p, active)
	}
}

// gone takes in that a pod is gone or has ended.
func (b *brain) gone(namespace, name string, now time.Time) {
	key := keyOf(namespace, name)
	p := b.world.pods[key]
	if p == nil {
		return
	}
	b.queue.move(p, nowhere)
	b.world.nominate(p, nil)
	delete(b.world.pods, key)
	if p.node != nil {
		b.freed(p, now)
	}
	b.world.setClass(p, nil)
}

// place accounts for p on n and wakes the pods that want it near.
func (b *brain) place(p *pod, n *node, now time.Time) {
	b.world.nominate(p, nil)
	b.world.put(p, n)
	b.wake(now, (*class).looksFar)
}

// freed takes p off its node and wakes the pods that its room or its absence helps.
func (b *brain) freed(p *pod, now time.Time) {
	n, c := p.node, p.class
	b.world.take(p)
	p.assumed = false
	b.wake(now, func(o *class) bool { return len(c.anti) > 0 || o.looksFar() || b.world.fitsAlone(o, n) })
	for o := range n.nominated {
		if o.place == parked && !b.waits(o) { // nobody leaves any more: it fits, or is to evict others
			b.queue.retry(o, now)
		}
	}
}

// decision is what is to be done with one pod.
type decision struct {
	pod     *pod
	object  *corev1.Pod  // the pod as it was decided on
	node    *node        // where it goes, accounted for already; nil: nowhere
	name    string       // of the node
	why     *explanation // where it does not fit
	evict   eviction     // of others for it, where that helps
	attempt int
	since   time.Time // when it was first queued
}

// next decides on the first active pod; ok is false where none is active.
func (b *brain) next(now time.Time) (d decision, ok bool) {
	p := b.queue.pop()
	if p == nil {
		return decision{}, false
	}
	p.attempts++
	p.tried = now
	d = decision{pod: p, object: p.object, attempt: p.attempts, since: p.queued}
	d.node, d.why = b.world.choose(p.class)
	if d.node == nil {
		d.evict = b.preempt(p, d.why)
		b.queue.move(p, parked)
		return d, true
	}
	p.assumed = true
	d.name = d.node.name
	b.place(p, d.node, now)
	return d, true
}

// failed takes in that a decision could not be carried out: the pod is tried again after its back-off, unless the watch has
// said otherwise meanwhile.
func (b *brain) failed(p *pod, now time.Time) {
	if b.world.pods[p.key] != p || !p.assumed {
		return
	}
	b.freed(p, now)
	b.waiting(p, false)
	if p.place == active {
		b.queue.retry(p, now)
	}
}

// conditionNotWritten takes in that a pod's condition was not written: the pod is tried again after its back-off, and told of then.
func (b *brain) conditionNotWritten(p *pod, now time.Time) {
	if b.world.pods[p.key] != p {
		return
	}
	p.told = ""
	if p.place == parked {
		b.queue.retry(p, now)
	}
}
