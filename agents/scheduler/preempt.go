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

// eviction deletes the victims of preemption.
type eviction struct {
	pod     *corev1.Pod
	by      *pod // whose object pod is
	node    string
	victims []corev1.ObjectReference
}

// preempt chooses the node where the fewest and least important pods have to be evicted for p, and sets why.preemption where there is none.
// A pod whose former victims are still terminating waits for them.
func (s *schedulingState) preempt(p *pod, why *explanation) (e eviction) {
	sig := p.signature
	switch {
	case why.fault != nil || why.nodes == 0 || why.noVictims:
		return eviction{}
	case sig.neverPreempt:
		why.preemption = "not eligible due to preemptionPolicy=Never."
		return eviction{}
	case s.waitsForVictims(p):
		why.preemption = "not eligible due to a terminating pod on the nominated node."
		return eviction{}
	}
	var best []*pod
	var chosen *node
	for _, n := range s.cluster.nodeList {
		victims := s.victimsOn(sig, n)
		if victims != nil && (best == nil || lessDisruptive(victims, best)) {
			best, chosen = victims, n
		}
	}
	if chosen == nil {
		why.preemption, why.noVictims = why.noVictimsText(), true
		s.cluster.nominate(&p.podInfo, nil) // it does not fit the nominated node any more
		return eviction{}
	}
	e = eviction{pod: p.object, by: p, node: chosen.name}
	for _, v := range best {
		e.victims = append(e.victims, v.ref())
		v.evicting = true
		s.cluster.setTerminating(&v.podInfo, true) // they are no victims for other pods
	}
	s.cluster.nominate(&p.podInfo, chosen)
	return e
}

// evictionFailed unmarks victims that were not deleted and retries the pod after its back-off.
func (s *schedulingState) evictionFailed(e eviction, victims []corev1.ObjectReference, now time.Time) {
	least := int32(math.MaxInt32)
	for _, v := range victims {
		o := s.pods[keyOf(v.Namespace, v.Name)]
		if o == nil || o.uid != v.UID || !o.evicting {
			continue // the watch reported its deletion
		}
		o.evicting = false
		s.cluster.setTerminating(&o.podInfo, false)
		least = min(least, o.signature.priority)
	}
	s.requeueUnschedulable(now, func(sig *podSignature) bool { return sig.priority > least && !sig.neverPreempt })
	p := e.by
	if s.pods[p.key] != p || p.node != nil {
		return
	}
	if !s.waitsForVictims(p) {
		s.cluster.nominate(&p.podInfo, nil)
	}
	if p.subqueue == unschedulable {
		s.queue.requeueAfterBackoff(p, now)
	}
}

// waitsForVictims returns whether pods of lower priority are terminating on p's nominated node.
func (s *schedulingState) waitsForVictims(p *pod) bool {
	if p.nominated == nil {
		return false
	}
	for _, o := range p.nominated.pods {
		if o.terminating && o.signature.priority < p.signature.priority {
			return true
		}
	}
	return false
}

// victimsOn returns the pods of lower priority that have to be evicted from n for a pod of sig: as few as possible, the least important.
// nil: evicting all of them would not help. Only the filters that look at the node alone are evaluated without the victims.
func (s *schedulingState) victimsOn(sig *podSignature, n *node) []*pod {
	var lower []*pod
	for _, p := range n.pods {
		if p.signature.priority < sig.priority && !p.terminating {
			lower = append(lower, s.pods[p.key])
		}
	}
	state := s.cluster.preFilter(sig)
	if result := state.nodeResult(n); len(lower) == 0 || result.reasons == nil || result.unresolvable {
		return nil
	}
	rest := n.clone()
	for _, p := range lower {
		rest.remove(&p.podInfo)
	}
	fits := func() bool {
		reasons, _ := state.filterNode(rest)
		if reasons == nil {
			reasons, _ = state.filterClusterWide(n)
		}
		return reasons == nil
	}
	if !fits() {
		return nil
	}
	slices.SortFunc(lower, func(a, b *pod) int {
		return cmp.Or(cmp.Compare(b.signature.priority, a.signature.priority), cmp.Compare(a.arrival, b.arrival))
	})
	var victims []*pod
	for _, p := range lower {
		rest.add(&p.podInfo)
		if !fits() {
			rest.remove(&p.podInfo)
			victims = append(victims, p)
		}
	}
	return victims
}

// lessDisruptive returns whether a is better to evict than b: by the highest priority, then the sum of priorities, then the number.
func lessDisruptive(a, b []*pod) bool {
	sum := func(pods []*pod) (s int64) {
		for _, p := range pods {
			s += int64(p.signature.priority) + 1<<31
		}
		return s
	}
	return cmp.Or(
		cmp.Compare(a[0].signature.priority, b[0].signature.priority),
		cmp.Compare(sum(a), sum(b)),
		cmp.Compare(len(a), len(b)),
	) < 0
}

// runEviction deletes the victims and stops at the first that can't be deleted.
func (l *leader) runEviction(ctx context.Context, e eviction) {
	preemptionAttempts.Inc()
	preemptionVictims.Observe(float64(len(e.victims)))
	for i, v := range e.victims {
		err := l.preemptPod(ctx, v)
		switch {
		case err == nil:
			l.log.Info("pod preempted", "ns", v.Namespace, "name", v.Name, "uid", v.UID, "node", e.node, "reason", e.pod.Namespace+"/"+e.pod.Name)
			l.recorder.Ref(v, corev1.EventTypeNormal, "Preempted", "Preempted by pod %s on node %s", e.pod.UID, e.node)
		case errors.Is(err, registry.NotFound), errors.Is(err, errOtherPod): // the watch reports its deletion
		default:
			if ctx.Err() == nil {
				l.log.Warn("pod not preempted", "ns", v.Namespace, "name", v.Name, "uid", v.UID, "node", e.node, "err", err)
			}
			l.changes.put(ctx, func(now time.Time) { l.state.evictionFailed(e, e.victims[i:], now) })
			return
		}
	}
}

// preemptPod sets a pod's condition DisruptionTarget and deletes it.
func (l *leader) preemptPod(ctx context.Context, v corev1.ObjectReference) error {
	text := l.name + ": preempting to accommodate a higher priority pod"
	_, err := l.pods.ModifyStatus(ctx, v.Namespace, v.Name, func(p *corev1.Pod) error {
		if p.UID != v.UID {
			return errOtherPod
		}
		setDisruptionTarget(p, text, metav1.Now())
		return nil
	})
	if err != nil {
		return err
	}
	return l.pods.Delete(ctx, v.Namespace, v.Name, registry.DeleteOptions{UID: string(v.UID)})
}

var errOtherPod = errors.New("another pod has the name now")

func setDisruptionTarget(p *corev1.Pod, text string, now metav1.Time) {
	c := corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: corev1.PodReasonPreemptionByScheduler,
		Message: text, LastTransitionTime: now, ObservedGeneration: p.Generation,
	}
	p.Status.Conditions = append(slices.DeleteFunc(p.Status.Conditions, func(o corev1.PodCondition) bool { return o.Type == c.Type }), c)
}
