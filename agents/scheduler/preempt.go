package scheduler

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
)

// eviction makes room for a pod on a node by deleting others.
type eviction struct {
	pod     *corev1.Pod
	by      *pod // whose object pod is
	node    string
	victims []corev1.ObjectReference
}

// preempt looks for the node where the fewest and least important pods have to go for p, and says in why what
// came of it. A pod whose last victims are still leaving waits for them.
func (b *brain) preempt(p *pod, why *explanation) (e eviction) {
	c := p.class
	switch {
	case why.fault != nil || why.nodes == 0 || why.vain:
		return eviction{}
	case c.neverPreempt:
		why.preemption = "not eligible due to preemptionPolicy=Never."
		return eviction{}
	case b.waits(p):
		why.preemption = "not eligible due to a terminating pod on the nominated node."
		return eviction{}
	}
	var best []*pod
	var at *node
	for _, n := range b.world.order {
		victims := b.victims(c, n)
		if victims != nil && (best == nil || cheaper(victims, best)) {
			best, at = victims, n
		}
	}
	if at == nil {
		why.preemption, why.vain = why.noVictims(), true
		b.world.nominate(p, nil) // what was made room for it on does not do any more
		return eviction{}
	}
	e = eviction{pod: p.object, by: p, node: at.name}
	for _, v := range best {
		e.victims = append(e.victims, v.ref())
		v.evicted = true
		b.world.setLeaving(v, true) // no other pod may count on the same ones
	}
	b.world.nominate(p, at)
	return e
}

// notEvicted takes in that some victims of an eviction were not deleted: they stay, as far as is known, and the pod is tried again
// after its back-off.
func (b *brain) notEvicted(e eviction, victims []corev1.ObjectReference, now time.Time) {
	least := int32(math.MaxInt32)
	for _, v := range victims {
		o := b.world.pods[keyOf(v.Namespace, v.Name)]
		if o == nil || o.uid != v.UID || !o.evicted {
			continue // the watch has told what became of it
		}
		o.evicted = false
		b.world.setLeaving(o, false)
		least = min(least, o.class.priority)
	}
	b.wake(now, func(c *class) bool { return c.priority > least && !c.neverPreempt })
	p := e.by
	if b.world.pods[p.key] != p || p.node != nil {
		return
	}
	if !b.waits(p) {
		b.world.nominate(p, nil)
	}
	if p.place == parked {
		b.queue.retry(p, now)
	}
}

// waits tells whether pods are leaving the node that p is to have.
func (b *brain) waits(p *pod) bool {
	if p.nominated == nil {
		return false
	}
	for _, o := range p.nominated.pods {
		if o.leaving && o.class.priority < p.class.priority {
			return true
		}
	}
	return false
}

// victims are the pods of lower priority that have to leave n for a pod of c: as few as possible, the most important ones
// spared first. nil: they would not do. Only reasons that lie in the node alone can be mended.
func (b *brain) victims(c *class, n *node) []*pod {
	var lower []*pod
	for _, p := range n.pods {
		if p.class.priority < c.priority && !p.leaving {
			lower = append(lower, p)
		}
	}
	y := b.world.use(c)
	if len(lower) == 0 || y.verdict(n).reasons == nil || y.verdict(n).hopeless {
		return nil
	}
	rest := n.clone()
	for _, p := range lower {
		rest.remove(p)
	}
	fits := func() bool {
		if v := y.judge(rest); v.reasons != nil {
			return false
		}
		reasons, _ := y.beyond(n)
		return reasons == nil
	}
	if !fits() {
		return nil
	}
	slices.SortFunc(lower, func(a, b *pod) int {
		return cmp.Or(cmp.Compare(b.class.priority, a.class.priority), cmp.Compare(a.seq, b.seq))
	})
	var victims []*pod
	for _, p := range lower {
		rest.add(p)
		if !fits() {
			rest.remove(p)
			victims = append(victims, p)
		}
	}
	return victims
}

// cheaper compares victims: the lowest greatest priority, then the lowest sum, then the fewest.
func cheaper(a, b []*pod) bool {
	sum := func(pods []*pod) (s int64) {
		for _, p := range pods {
			s += int64(p.class.priority) + 1<<31
		}
		return s
	}
	return cmp.Or(
		cmp.Compare(a[0].class.priority, b[0].class.priority),
		cmp.Compare(sum(a), sum(b)),
		cmp.Compare(len(a), len(b)),
	) < 0
}

// evict deletes the victims. Where one can't be deleted the others are spared.
func (l *leader) evict(ctx context.Context, e eviction) {
	preemptionAttempts.Inc()
	preemptionVictims.Observe(float64(len(e.victims)))
	for i, v := range e.victims {
		err := l.evictOne(ctx, v)
		switch {
		case err == nil:
			l.log.Info("pod preempted", "ns", v.Namespace, "name", v.Name, "uid", v.UID, "node", e.node, "reason", e.pod.Namespace+"/"+e.pod.Name)
			l.recorder.Ref(v, corev1.EventTypeNormal, "Preempted", "Preempted by pod %s on node %s", e.pod.UID, e.node)
		case errors.Is(err, registry.NotFound), errors.Is(err, errOtherPod): // it is gone, and the watch says so
		default:
			if ctx.Err() == nil {
				l.log.Warn("pod not preempted", "ns", v.Namespace, "name", v.Name, "uid", v.UID, "node", e.node, "err", err)
			}
			l.changes.put(func(now time.Time) { l.brain.notEvicted(e, e.victims[i:], now) })
			return
		}
	}
}

// evictOne deletes a pod with a condition that says why.
func (l *leader) evictOne(ctx context.Context, v corev1.ObjectReference) error {
	text := l.name + ": preempting to accommodate a higher priority pod"
	_, err := l.pods.ModifyStatus(ctx, v.Namespace, v.Name, func(p *corev1.Pod) error {
		if p.UID != v.UID {
			return errOtherPod
		}
		disrupt(p, text, metav1.Now())
		return nil
	})
	if err != nil {
		return err
	}
	return l.pods.Delete(ctx, v.Namespace, v.Name, registry.DeleteOptions{UID: string(v.UID)})
}

var errOtherPod = errors.New("another pod has the name now")

func disrupt(p *corev1.Pod, text string, now metav1.Time) {
	c := corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: corev1.PodReasonPreemptionByScheduler,
		Message: text, LastTransitionTime: now, ObservedGeneration: p.Generation,
	}
	p.Status.Conditions = append(slices.DeleteFunc(p.Status.Conditions, func(o corev1.PodCondition) bool { return o.Type == c.Type }), c)
}
