package disruption

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/pods"
	"gantry/schema/policy"
)

// recheckFailed is after how long a budget is reconciled again of whose pods the number cannot be calculated.
const recheckFailed = time.Minute

// budgets has keys of two forms: "namespace/name" of a budget, and "namespace/pod/name" of a pod with a condition DisruptionTarget.
type budgets struct {
	*controller.Env
	index *controller.SelectorIndex
}

// NewDisruption keeps the status of pod disruption budgets.
func NewDisruption(e *controller.Env) controller.Reconciler {
	c := budgets{e, controller.NewSelectorIndex()}
	return controller.Reconciler{
		Reconcile: c.reconcile,
		Watches: []controller.Watch{
			{Kind: policy.PodDisruptionBudget, Keys: c.onBudget},
			{Kind: core.Pod, Keys: c.onPod},
		},
	}
}

func (c budgets) onBudget(old, current schema.Object) {
	if current == nil {
		c.index.Set(old, nil)
		return
	}
	b := current.(*policyv1.PodDisruptionBudget)
	selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
	if err != nil {
		selector = nil // it selects nothing; the reconciliation says so
	}
	c.index.Set(b, selector)
	c.Enqueue(controller.KeyOf(b), 0)
}

func (c budgets) onPod(old, current schema.Object) {
	if p, ok := current.(*corev1.Pod); ok {
		c.onCondition(p)
	}
	if old != nil && current != nil && samePod(old.(*corev1.Pod), current.(*corev1.Pod)) {
		return
	}
	for _, obj := range []schema.Object{old, current} {
		if obj != nil {
			c.index.Each(obj.GetNamespace(), obj.GetLabels(), func(key string) { c.Enqueue(key, c.index.Delay(key)) })
		}
	}
	if p, ok := current.(*corev1.Pod); ok {
		c.warnOfSeveral(p)
	}
}

// onCondition enqueues a pod for when its condition DisruptionTarget is stale.
func (c budgets) onCondition(p *corev1.Pod) {
	if _, after, there := planStaleCondition(p, time.Now()); there {
		c.Enqueue(p.Namespace+"/pod/"+p.Name, max(after, controller.CoalesceDelay))
	}
}

// warnOfSeveral records that several budgets select a pod: it cannot be evicted.
func (c budgets) warnOfSeveral(p *corev1.Pod) {
	var names []string
	c.index.Each(p.Namespace, p.Labels, func(key string) { names = append(names, strings.TrimPrefix(key, p.Namespace+"/")) })
	if len(names) > 1 {
		c.Events.Event(core.Pod, p, corev1.EventTypeWarning, "MultiplePodDisruptionBudgets",
			"Pod %q/%q matches multiple PodDisruptionBudgets.  Chose %q arbitrarily.", p.Namespace, p.Name, slices.Min(names))
	}
}

// samePod returns whether a change of a pod means nothing to a budget.
func samePod(a, b *corev1.Pod) bool {
	return a.UID == b.UID && pods.IsReady(a) == pods.IsReady(b) && (a.DeletionTimestamp == nil) == (b.DeletionTimestamp == nil) &&
		equality.Semantic.DeepEqual(a.Labels, b.Labels) && equality.Semantic.DeepEqual(a.OwnerReferences, b.OwnerReferences)
}

func (c budgets) reconcile(ctx context.Context, key string) (time.Duration, error) {
	ns, name, _ := strings.Cut(key, "/")
	if pod, ok := strings.CutPrefix(name, "pod/"); ok {
		return c.reconcilePod(ctx, ns, pod)
	}
	b, err := registry.For[*policyv1.PodDisruptionBudget](c.Registry).Cached(ctx, ns, name)
	if errors.Is(err, registry.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
	if err != nil {
		c.record(b, true, "NoPods", fmt.Sprintf("Failed to get pods: %v", err))
		return 0, c.Execute(ctx, planFailure(b, err, time.Now()))
	}
	selected, err := registry.For[*corev1.Pod](c.Registry).CachedList(ctx, ns, selector.String()) // "" for one that selects nothing, too
	if err != nil {
		return 0, err
	}
	selected = slices.DeleteFunc(selected, func(p *corev1.Pod) bool { return !selector.Matches(labelsOf(p)) })
	c.index.SetSize(key, len(selected))
	if len(selected) == 0 {
		c.record(b, false, "NoPods", "No matching pods found")
	}
	return c.reconcileBudget(ctx, b, selected)
}

func (c budgets) reconcileBudget(ctx context.Context, b *policyv1.PodDisruptionBudget, selected []*corev1.Pod) (time.Duration, error) {
	wanted, unmanaged, err := c.scaleOf(ctx, b, selected)
	var unknown *scaleError
	if err != nil && !errors.As(err, &unknown) {
		return 0, err
	}
	now := time.Now()
	if unknown != nil {
		c.record(b, true, "CalculateExpectedPodCountFailed", fmt.Sprintf("Failed to calculate the number of expected pods: %v", err))
		return recheckFailed, c.Execute(ctx, planFailure(b, err, now))
	}
	if unmanaged {
		c.record(b, true, "UnmanagedPods", fmt.Sprintf("Pods selected by this PodDisruptionBudget (selector: %v) were found to be unmanaged. "+
			"As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. "+
			"To account for these pods please set \".spec.minAvailable\" field of the PDB to an integer value.", b.Spec.Selector))
	}
	plan, notDeleted, after, err := planStatus(b, selected, wanted, now)
	if err != nil {
		return 0, c.Execute(ctx, planFailure(b, err, now))
	}
	for _, p := range notDeleted {
		c.Events.Event(core.Pod, p, corev1.EventTypeWarning, "NotDeleted", "Pod was expected by PDB %s/%s to be deleted but it wasn't", b.Namespace, b.Name)
	}
	return after, c.Execute(ctx, plan)
}

func (c budgets) reconcilePod(ctx context.Context, ns, name string) (time.Duration, error) {
	p, err := registry.For[*corev1.Pod](c.Registry).Cached(ctx, ns, name)
	if errors.Is(err, registry.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	plan, after, _ := planStaleCondition(p, time.Now())
	return after, c.Execute(ctx, plan)
}

func (c budgets) record(b *policyv1.PodDisruptionBudget, warning bool, reason, message string) {
	t := corev1.EventTypeNormal
	if warning {
		t = corev1.EventTypeWarning
	}
	c.Events.Event(policy.PodDisruptionBudget, b, t, reason, "%s", message)
}
