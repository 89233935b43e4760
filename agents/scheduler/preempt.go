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

	"gantry/agents/scheduler/framework"
	"gantry/registry"
)

// eviction deletes the victims of preemption.
type eviction struct {
	pod     *corev1.Pod
	by      *pod // whose object pod is
	node    string
	victims []corev1.ObjectReference
}

// victims are the pods that have to be evicted from a node, the most important first, and how many of them violate a disruption budget.
type victims struct {
	pods       []*pod
	violations int
}

// preempt chooses the node where the fewest budgets are violated, and the fewest and least important pods have to be evicted for p, and sets why.preemption where there is none.
// A pod whose former victims are still terminating waits for them.
func (s *schedulingState) preempt(p *pod, why *framework.Explanation) (e eviction) {
	sig := p.Signature
	switch {
	case why.Fault != nil || why.Nodes == 0 || why.NoVictims || sig.Plugins.NoPreemption:
		return eviction{}
	case sig.NeverPreempt:
		why.Preemption = "not eligible due to preemptionPolicy=Never."
		return eviction{}
	case s.waitsForVictims(p):
		why.Preemption = "not eligible due to a terminating pod on the nominated node."
		return eviction{}
	}
	var best victims
	var chosen *framework.NodeInfo
	for _, n := range s.cluster.NodeList {
		v := s.victimsOn(sig, n)
		if v.pods != nil && (best.pods == nil || lessDisruptive(v, best)) {
			best, chosen = v, n
		}
	}
	if chosen == nil {
		why.Preemption, why.NoVictims = why.NoVictimsText(), true
		s.cluster.Nominate(&p.PodInfo, nil) // it does not fit the nominated node any more
		return eviction{}
	}
	e = eviction{pod: p.object, by: p, node: chosen.Name}
	for _, v := range best.pods {
		e.victims = append(e.victims, v.ref())
		v.evicting = true
		s.cluster.SetTerminating(&v.PodInfo, true) // they are no victims for other pods
	}
	s.cluster.Nominate(&p.PodInfo, chosen)
	return e
}

// evictionFailed unmarks victims that were not deleted and retries the pod after its back-off.
func (s *schedulingState) evictionFailed(e eviction, victims []corev1.ObjectReference, now time.Time) {
	least := int32(math.MaxInt32)
	for _, v := range victims {
		o := s.pods[keyOf(v.Namespace, v.Name)]
		if o == nil || o.UID != v.UID || !o.evicting {
			continue // the watch reported its deletion
		}
		o.evicting = false
		s.cluster.SetTerminating(&o.PodInfo, false)
		least = min(least, o.Signature.Priority)
	}
	s.requeueUnschedulable(now, func(sig *framework.PodSignature) bool { return sig.Priority > least && !sig.NeverPreempt })
	p := e.by
	if s.pods[p.Key] != p || p.Node != nil {
		return
	}
	if !s.waitsForVictims(p) {
		s.cluster.Nominate(&p.PodInfo, nil)
	}
	if p.subqueue == unschedulable {
		s.queue.requeueAfterBackoff(p, now)
	}
}

// waitsForVictims returns whether pods of lower priority are terminating on p's nominated node.
func (s *schedulingState) waitsForVictims(p *pod) bool {
	if p.Nominated == nil {
		return false
	}
	for _, o := range p.Nominated.Pods {
		if o.Terminating && o.Signature.Priority < p.Signature.Priority {
			return true
		}
	}
	return false
}

// victimsOn returns the pods of lower priority that have to be evicted from n for a pod of sig: as few as possible, the least important,
// and those that violate no budget rather than others. None: evicting all of them would not help.
func (s *schedulingState) victimsOn(sig *framework.PodSignature, n *framework.NodeInfo) victims {
	var lower []*pod
	for _, p := range n.Pods {
		if p.Signature.Priority < sig.Priority && !p.Terminating {
			lower = append(lower, s.pods[p.Key])
		}
	}
	state := s.cluster.PreFilter(sig)
	if len(lower) == 0 || state.Unresolvable(n) {
		return victims{}
	}
	run := state.DryRun(n)
	defer run.End()
	for _, p := range lower {
		run.Remove(&p.PodInfo)
	}
	if !run.Fits() {
		return victims{}
	}
	slices.SortFunc(lower, byImportance)
	violating := s.violating(lower)
	// Pods that are spared first are spared rather.
	slices.SortStableFunc(lower, func(a, b *pod) int {
		switch {
		case violating[a] == violating[b]:
			return 0
		case violating[a]:
			return -1
		}
		return 1
	})
	var v victims
	for _, p := range lower {
		run.Add(&p.PodInfo)
		if run.Fits() {
			continue
		}
		run.Remove(&p.PodInfo)
		v.pods = append(v.pods, p)
		if violating[p] {
			v.violations++
		}
	}
	slices.SortFunc(v.pods, byImportance)
	return v
}

// lessDisruptive returns whether a is better to evict than b: by the budgets violated, then the highest priority, then the sum of priorities, then the number.
func lessDisruptive(a, b victims) bool {
	sum := func(pods []*pod) (s int64) {
		for _, p := range pods {
			s += int64(p.Signature.Priority) + 1<<31
		}
		return s
	}
	return cmp.Or(
		cmp.Compare(a.violations, b.violations),
		cmp.Compare(a.pods[0].Signature.Priority, b.pods[0].Signature.Priority),
		cmp.Compare(sum(a.pods), sum(b.pods)),
		cmp.Compare(len(a.pods), len(b.pods)),
	) < 0
}

// runEviction deletes the victims and stops at the first that can't be deleted.
func (l *leader) runEviction(ctx context.Context, e eviction) {
	preemptionAttempts.Inc()
	preemptionVictims.Observe(float64(len(e.victims)))
	for i, v := range e.victims {
		err := l.preemptPod(ctx, v, e.pod.Spec.SchedulerName)
		switch {
		case err == nil:
			l.log.Info("pod preempted", "ns", v.Namespace, "name", v.Name, "uid", v.UID, "node", e.node, "reason", e.pod.Namespace+"/"+e.pod.Name)
			l.recorderOf(e.pod).Ref(v, corev1.EventTypeNormal, "Preempted", "Preempted by pod %s on node %s", e.pod.UID, e.node)
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

// preemptPod, of the scheduler of a name, sets a pod's condition DisruptionTarget and deletes it.
func (l *leader) preemptPod(ctx context.Context, v corev1.ObjectReference, schedulerName string) error {
	text := schedulerName + ": preempting to accommodate a higher priority pod"
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
