package disruption

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gantry/agents/controllers/controller"
	"gantry/schema/core"
	"gantry/schema/pods"
	"gantry/schema/policy"
)

const (
	// deletionTimeout is how long a pod counts as disrupted that an eviction named and that is not being deleted.
	deletionTimeout = 2 * time.Minute
	// staleAfter is how long a pod that is not being deleted keeps the condition DisruptionTarget.
	staleAfter = 2 * time.Minute
)

func labelsOf(p *corev1.Pod) labels.Set { return p.Labels }

// planStatus counts the pods of a budget. wanted is how many there should be, where the budget counts from that. notDeleted are pods that an
// eviction named long ago. after is when the next of those is given up.
func planStatus(b *policyv1.PodDisruptionBudget, selected []*corev1.Pod, wanted int32, now time.Time) (plan []controller.Action, notDeleted []*corev1.Pod, after time.Duration, err error) {
	expected, desired, err := expectedPods(b, len(selected), wanted)
	if err != nil {
		return nil, nil, 0, err
	}
	s := policyv1.PodDisruptionBudgetStatus{
		ObservedGeneration: b.Generation, ExpectedPods: expected, DesiredHealthy: desired,
		Conditions: b.DeepCopy().Status.Conditions,
	}
	s.DisruptedPods, notDeleted, after = disruptedPods(b, selected, now)
	for _, p := range selected {
		if _, disrupted := s.DisruptedPods[p.Name]; p.DeletionTimestamp == nil && !disrupted && pods.IsReady(p) {
			s.CurrentHealthy++
		}
	}
	// A budget without pods allows nothing: the first ones may have come just now.
	if expected > 0 {
		s.DisruptionsAllowed = max(0, s.CurrentHealthy-desired)
	}
	c := metav1.Condition{Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse, Reason: policyv1.InsufficientPodsReason}
	if s.DisruptionsAllowed > 0 {
		c.Status, c.Reason = metav1.ConditionTrue, policyv1.SufficientPodsReason
	}
	return write(b, s, c, now, fmt.Sprintf("%d of %d pods are healthy, %d have to be", s.CurrentHealthy, expected, desired)), notDeleted, after, nil
}

// expectedPods is how many pods a budget expects, and how many of them have to be healthy.
func expectedPods(b *policyv1.PodDisruptionBudget, selected int, wanted int32) (expected, desired int32, err error) {
	switch s := &b.Spec; {
	case s.MaxUnavailable != nil:
		n, err := intstr.GetScaledValueFromIntOrPercent(s.MaxUnavailable, int(wanted), true)
		return wanted, max(0, wanted-int32(n)), err
	case s.MinAvailable == nil:
		return 0, 0, nil
	case s.MinAvailable.Type == intstr.Int:
		return int32(selected), s.MinAvailable.IntVal, nil
	default:
		n, err := intstr.GetScaledValueFromIntOrPercent(s.MinAvailable, int(wanted), true)
		return wanted, int32(n), err
	}
}

// disruptedPods are the pods that evictions named and that are not being deleted yet, as the cache shows it.
func disruptedPods(b *policyv1.PodDisruptionBudget, selected []*corev1.Pod, now time.Time) (named map[string]metav1.Time, notDeleted []*corev1.Pod, after time.Duration) {
	for _, p := range selected {
		at, ok := b.Status.DisruptedPods[p.Name]
		if !ok || p.DeletionTimestamp != nil {
			continue
		}
		left := at.Add(deletionTimeout).Sub(now)
		if left < 0 {
			notDeleted = append(notDeleted, p)
			continue
		}
		if named == nil {
			named = map[string]metav1.Time{}
		}
		if named[p.Name] = at; after == 0 || left < after {
			after = max(left, time.Second) // the time in the status is of whole seconds
		}
	}
	return named, notDeleted, after
}

// planFailure allows no disruption of pods of which the number is unknown, and says why.
func planFailure(b *policyv1.PodDisruptionBudget, err error, now time.Time) []controller.Action {
	s := *b.Status.DeepCopy()
	s.DisruptionsAllowed = 0
	return write(b, s, metav1.Condition{Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse, Reason: policyv1.SyncFailedReason,
		Message: err.Error()}, now, err.Error())
}

// write replaces the status with s and the condition, where that changes it.
func write(b *policyv1.PodDisruptionBudget, s policyv1.PodDisruptionBudgetStatus, c metav1.Condition, now time.Time, reason string) []controller.Action {
	c.ObservedGeneration, c.LastTransitionTime = s.ObservedGeneration, metav1.NewTime(now)
	meta.SetStatusCondition(&s.Conditions, c)
	if equality.Semantic.DeepEqual(s, b.Status) {
		return nil
	}
	changed := *b
	changed.Status = s
	return []controller.Action{{Do: controller.UpdateStatus, Kind: policy.PodDisruptionBudget, Object: &changed, Reason: reason}}
}

// planStaleCondition resets the condition DisruptionTarget of a pod that is not being deleted. there: the pod has one; after is when it is stale.
// One that a kubelet set, and one of a pod that has ended, stay.
func planStaleCondition(p *corev1.Pod, now time.Time) (plan []controller.Action, after time.Duration, there bool) {
	c := pods.Condition(p, corev1.DisruptionTarget)
	if c == nil || c.Status != corev1.ConditionTrue || c.Reason == corev1.PodReasonTerminationByKubelet || p.DeletionTimestamp != nil || pods.IsTerminal(p) {
		return nil, 0, false
	}
	if left := c.LastTransitionTime.Add(staleAfter).Sub(now); left > 0 {
		return nil, left, true
	}
	changed := p.DeepCopy()
	controller.SetPodCondition(changed, corev1.DisruptionTarget, corev1.ConditionFalse, "", "", now)
	return []controller.Action{{Do: controller.UpdateStatus, Kind: core.Pod, Object: changed, Reason: "the disruption that was announced did not happen"}}, 0, true
}
