package workload

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/apps"
	"gantry/schema/pods"
)

type deployments struct {
	*controller.Env
	index *controller.SelectorIndex
}

// NewDeployment rolls Deployments out by sizing their replica sets. Its keys are those of Deployments.
func NewDeployment(e *controller.Env) controller.Reconciler {
	c := deployments{e, controller.NewSelectorIndex()}
	return controller.Reconciler{
		Reconcile: c.reconcile,
		Watches: []controller.Watch{
			{Kind: apps.Deployment, Keys: c.IndexOwner(c.index, func(obj schema.Object) *metav1.LabelSelector { return obj.(*appsv1.Deployment).Spec.Selector })},
			{Kind: apps.ReplicaSet, Keys: func(old, current schema.Object) { c.EnqueueOwner("Deployment", c.index, old, current) }},
		},
	}
}

func (c deployments) reconcile(ctx context.Context, key string) (time.Duration, error) {
	d, err := controller.Cached[*appsv1.Deployment](ctx, c.Registry, key)
	if err != nil || d == nil {
		return 0, err
	}
	selector := controller.SelectorOf(d.Spec.Selector)
	if selector == nil {
		c.Events.Event(apps.Deployment, d, "Warning", "SelectingAll", "This deployment is selecting all pods. A non-empty selector is required.")
		return 0, nil
	}
	candidates, err := controller.OwnedOrSelected[*appsv1.ReplicaSet](ctx, c.Registry, d, selector)
	if err != nil {
		return 0, err
	}
	children, plan := controller.ClaimChildren(apps.Deployment, d, apps.ReplicaSet, selector, candidates)
	if len(plan) > 0 {
		return controller.RequeueNow, c.AdoptAndRelease(ctx, apps.Deployment, d, plan)
	}
	running, err := c.running(ctx, d, children)
	if err != nil {
		return 0, err
	}
	plan, after := planDeployment(d, children, running, time.Now())
	return after, c.handleFailedCreate(ctx, d, c.Execute(ctx, plan), plan)
}

// running counts the pods of each replica set that may still run; only Recreate needs it. The end of each of them is a change of its
// replica set's status (terminatingReplicas).
func (c deployments) running(ctx context.Context, d *appsv1.Deployment, sets []*appsv1.ReplicaSet) (map[types.UID]int, error) {
	if d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
		return nil, nil
	}
	out := map[types.UID]int{}
	for _, rs := range sets {
		podList, err := registry.For[*corev1.Pod](c.Registry).CachedOwned(ctx, string(rs.UID))
		if err != nil {
			return nil, err
		}
		for _, p := range podList {
			if !pods.IsTerminal(p) {
				out[rs.UID]++
			}
		}
	}
	return out, nil
}

// handleFailedCreate turns a failure to create a replica set into a condition and an Event, or into another name to try.
func (c deployments) handleFailedCreate(ctx context.Context, d *appsv1.Deployment, err error, plan []controller.Action) error {
	i := indexOfCreate(plan)
	if err == nil || i < 0 || ctx.Err() != nil {
		return err
	}
	want := plan[i].Object.(*appsv1.ReplicaSet)
	sets := registry.For[*appsv1.ReplicaSet](c.Registry)
	existing, getErr := sets.Get(ctx, want.Namespace, want.Name)
	switch {
	case getErr == nil && metav1.IsControlledBy(existing, d) && equalTemplates(&existing.Spec.Template, &want.Spec.Template):
		return err // it was created: another action failed
	case errors.Is(err, registry.Exists) && getErr == nil:
		return errors.Join(err, c.countCollision(ctx, d))
	case errors.Is(err, registry.Conflict):
		return err
	}
	return errors.Join(err, c.reportFailedCreate(ctx, d, want, err))
}

func indexOfCreate(plan []controller.Action) int {
	for i, a := range plan {
		if a.Do == controller.Create {
			return i
		}
	}
	return -1
}

// countCollision counts that a replica set of another owner has the name that was to be used, so that the next name is another.
func (c deployments) countCollision(ctx context.Context, d *appsv1.Deployment) error {
	_, err := registry.For[*appsv1.Deployment](c.Registry).ModifyStatus(ctx, d.Namespace, d.Name, func(m *appsv1.Deployment) error {
		n := ptr.Deref(m.Status.CollisionCount, 0)
		if m.UID == d.UID && n == ptr.Deref(d.Status.CollisionCount, 0) {
			n++
			m.Status.CollisionCount = &n
		}
		return nil
	})
	return err
}

// reportFailedCreate says in an Event and the condition Progressing why the replica set was not created.
func (c deployments) reportFailedCreate(ctx context.Context, d *appsv1.Deployment, rs *appsv1.ReplicaSet, cause error) error {
	message := fmt.Sprintf("Failed to create new replica set %q: %v", rs.Name, cause)
	c.Events.Event(apps.Deployment, d, "Warning", "ReplicaSetCreateError", "%s", message)
	_, err := registry.For[*appsv1.Deployment](c.Registry).ModifyStatus(ctx, d.Namespace, d.Name, func(m *appsv1.Deployment) error {
		if m.UID == d.UID && hasDeadline(m) {
			setCondition(&m.Status, appsv1.DeploymentProgressing, corev1.ConditionFalse, "ReplicaSetCreateError", message, time.Now())
		}
		return nil
	})
	return err
}
