package admit

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	budgethelper "k8s.io/component-helpers/apps/poddisruptionbudget"
	"k8s.io/utils/ptr"

	"gantry/schema"
	"gantry/schema/pods"
)

const (
	// maxDisruptedPods is how many evictions a budget takes that its controller has not confirmed.
	maxDisruptedPods = 2000
	// budgetPending is after how long an eviction can be asked for again of a budget whose controller is behind.
	budgetPending  = 10 * time.Second
	budgetExceeded = "Cannot evict pod as it would violate the pod's disruption budget."
)

func wantsEviction(o Operation, k *schema.Kind, subresource string) bool {
	return o == Delete && subresource == "eviction" && k.Plural == "pods" && k.Group == ""
}

// spendBudget lets a pod be evicted where its disruption budget allows it, and takes one disruption from the budget in the transaction that
// deletes the pod. In this order:
//   - a pod that is pending, has ended or is being deleted counts in no budget
//   - a pod without budget is evicted, one with several is not
//   - a pod that is not ready is evicted without taking from the budget, where unhealthyPodEvictionPolicy is AlwaysAllow or enough others
//     are healthy
//   - the budget's status must be of its present spec, and allow a disruption.
func spendBudget(ctx context.Context, read Reader, q *Request) error {
	pod := q.Old.(*corev1.Pod)
	if pods.IsTerminal(pod) || pod.Status.Phase == corev1.PodPending || pod.DeletionTimestamp != nil {
		return nil
	}
	found, budget, err := budgetOf(ctx, read, pod)
	if err != nil || budget == nil {
		return err
	}
	if s := &budget.Status; !pods.IsReady(pod) {
		always := ptr.Deref(budget.Spec.UnhealthyPodEvictionPolicy, "") == policyv1.AlwaysAllow
		if always || s.CurrentHealthy >= s.DesiredHealthy && s.DesiredHealthy > 0 {
			q.Hold(found)
			return nil
		}
	}
	if err := checkBudget(budget); err != nil {
		return err
	}
	spent := budget.DeepCopy()
	spent.Status.DisruptionsAllowed--
	if spent.Status.DisruptionsAllowed == 0 {
		budgethelper.UpdateDisruptionAllowedCondition(spent)
	}
	if spent.Status.DisruptedPods == nil {
		spent.Status.DisruptedPods = map[string]metav1.Time{}
	}
	spent.Status.DisruptedPods[pod.Name] = metav1.Now()
	return q.PutObject(found, spent)
}

// budgetOf is the budget that selects a pod, as the store has it; nil: none does.
func budgetOf(ctx context.Context, read Reader, pod *corev1.Pod) (found Found, budget *policyv1.PodDisruptionBudget, err error) {
	all, err := read.ListLatest(ctx, policyv1.GroupName, "poddisruptionbudgets", pod.Namespace)
	if err != nil {
		return Found{}, nil, err
	}
	for _, obj := range all {
		b, ok := obj.(*policyv1.PodDisruptionBudget)
		if !ok {
			continue
		}
		if s, err := metav1.LabelSelectorAsSelector(b.Spec.Selector); err != nil || !s.Matches(labels.Set(pod.Labels)) {
			continue
		}
		if budget != nil {
			return Found{}, nil, &Misconfigured{"This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."}
		}
		budget = b
	}
	if budget == nil {
		return Found{}, nil, nil
	}
	found, err = read.Latest(ctx, policyv1.GroupName, "poddisruptionbudgets", budget.Namespace, budget.Name)
	budget, _ = found.Object.(*policyv1.PodDisruptionBudget) // nil: it was deleted just now
	return found, budget, err
}

// checkBudget returns why a budget allows no disruption.
func checkBudget(b *policyv1.PodDisruptionBudget) error {
	s := &b.Status
	switch {
	case s.ObservedGeneration < b.Generation:
		return tooMany(budgetPending, "The disruption budget %s is still being processed by the server.", b.Name)
	case s.DisruptionsAllowed < 0:
		return denied("pdb disruptions allowed is negative")
	case len(s.DisruptedPods) > maxDisruptedPods:
		return denied("DisruptedPods map too big - too many evictions not confirmed by PDB controller")
	case s.DisruptionsAllowed > 0:
		return nil
	}
	refusing := meta.FindStatusCondition(s.Conditions, policyv1.DisruptionAllowedCondition)
	if refusing != nil && (refusing.Status != metav1.ConditionFalse || refusing.Message == "") {
		refusing = nil
	}
	switch {
	case refusing != nil && refusing.Reason == policyv1.SyncFailedReason:
		return tooMany(0, "The disruption budget %s does not allow evicting pods currently because it failed sync: %s", b.Name, refusing.Message)
	case s.CurrentHealthy <= s.DesiredHealthy:
		return tooMany(0, "The disruption budget %s needs %d healthy pods and has %d currently", b.Name, s.DesiredHealthy, s.CurrentHealthy)
	case refusing != nil:
		return tooMany(0, "The disruption budget %s does not allow evicting pods currently (%s): %s", b.Name, refusing.Reason, refusing.Message)
	}
	return tooMany(0, "The disruption budget %s does not allow evicting pods currently", b.Name)
}

func tooMany(after time.Duration, format string, args ...any) error {
	return &TooMany{Reason: budgetExceeded, RetryAfter: after, Causes: []metav1.StatusCause{{Type: policyv1.DisruptionBudgetCause, Message: fmt.Sprintf(format, args...)}}}
}
