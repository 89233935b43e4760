package workload

import (
	"context"
	"errors"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/apps"
	"gantry/schema/core"
	"gantry/schema/pods"
)

type replicaSets struct {
	*controller.Env
	setKind
	index *controller.SelectorIndex
}

// setKind is ReplicaSet, or a kind that is reconciled as if its objects were ReplicaSets.
type setKind struct {
	kind *schema.Kind
	// toSet returns an object of the kind as a ReplicaSet, which shares its parts.
	toSet func(schema.Object) *appsv1.ReplicaSet
	// fromSet is the reverse of toSet.
	fromSet func(*appsv1.ReplicaSet) schema.Object
}

var replicaSetKind = setKind{
	kind:    apps.ReplicaSet,
	toSet:   func(obj schema.Object) *appsv1.ReplicaSet { return obj.(*appsv1.ReplicaSet) },
	fromSet: func(rs *appsv1.ReplicaSet) schema.Object { return rs },
}

// NewReplicaSet creates and deletes the pods of replica sets. Its keys are those of ReplicaSets.
func NewReplicaSet(e *controller.Env) controller.Reconciler { return newReplicaSets(e, replicaSetKind) }

func newReplicaSets(e *controller.Env, k setKind) controller.Reconciler {
	c := replicaSets{e, k, controller.NewSelectorIndex()}
	return controller.Reconciler{
		Reconcile: c.reconcile,
		Watches: []controller.Watch{
			{Kind: k.kind, Keys: c.onSet},
			{Kind: core.Pod, Keys: c.onPod},
		},
	}
}

func (c replicaSets) onSet(old, current schema.Object) {
	if current == nil {
		c.index.Set(old, nil)
		return
	}
	c.index.Set(current, controller.SelectorOf(c.toSet(current).Spec.Selector))
	c.Enqueue(controller.KeyOf(current), 0)
}

// onPod leaves out changes of a pod that mean nothing to a replica set.
func (c replicaSets) onPod(old, current schema.Object) {
	if old != nil && current != nil && controller.SamePod(old.(*corev1.Pod), current.(*corev1.Pod)) {
		return
	}
	c.EnqueueOwner(c.kind.Kind, c.index, old, current)
}

// reconcile brings the pods of one replica set to its size, and then its status.
func (c replicaSets) reconcile(ctx context.Context, key string) (time.Duration, error) {
	ns, name, _ := strings.Cut(key, "/")
	item, err := c.Registry.Get(ctx, c.kind, ns, name, "0")
	if errors.Is(err, registry.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	rs := c.toSet(item.Object())
	children, ended, plan, err := c.observe(ctx, rs)
	if err != nil {
		return 0, err
	}
	c.index.SetSize(key, len(children))
	if len(plan) > 0 {
		return controller.RequeueNow, c.AdoptAndRelease(ctx, c.kind, rs, plan)
	}
	related, err := c.related(ctx, rs, children)
	if err != nil {
		return 0, err
	}
	now := time.Now()
	plan = planPods(c.kind, rs, children, related, now)
	wait := time.Duration(0)
	if len(plan) > 0 && plan[0].Do == controller.Create {
		if wait = rejectionBackoff(children, ended, now); wait > 0 {
			c.Log.Info("pods not created yet", "ns", ns, "name", name, "reason", "nodes rejected the last ones", "after", wait)
			plan = nil
		}
	}
	failed := c.Execute(ctx, plan)
	status, after := c.planStatus(rs, children, plan, failureCause(failed), now)
	return controller.Sooner(after, wait), errors.Join(failed, c.Execute(ctx, status))
}

// observe returns the pods of a replica set, those that have ended apart, and the plan of adoptions and releases.
func (c replicaSets) observe(ctx context.Context, rs *appsv1.ReplicaSet) (children, ended []*corev1.Pod, plan []controller.Action, err error) {
	selector := controller.SelectorOf(rs.Spec.Selector)
	if selector == nil {
		return nil, nil, nil, nil // planPods makes none either
	}
	candidates, err := controller.OwnedOrSelected[*corev1.Pod](ctx, c.Registry, rs, selector)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, p := range candidates {
		if pods.IsTerminal(p) && metav1.IsControlledBy(p, rs) {
			ended = append(ended, p)
		}
	}
	children, plan = controller.ClaimChildren(c.kind, rs, core.Pod, selector, activePods(candidates))
	return children, ended, plan, nil
}

// activePods leaves out pods that have ended: they are neither counted nor adopted.
func activePods(podList []*corev1.Pod) []*corev1.Pod {
	var out []*corev1.Pod
	for _, p := range podList {
		if !pods.IsTerminal(p) {
			out = append(out, p)
		}
	}
	return out
}

// related counts, by node, the active pods of all replica sets of the same deployment; only a deletion needs it.
func (c replicaSets) related(ctx context.Context, rs *appsv1.ReplicaSet, children []*corev1.Pod) (map[string]int, error) {
	out := map[string]int{}
	if len(children) <= int(size(rs)) {
		return out, nil
	}
	sets := []*appsv1.ReplicaSet{rs}
	if ref := metav1.GetControllerOfNoCopy(rs); ref != nil && c.kind == apps.ReplicaSet {
		siblings, err := registry.For[*appsv1.ReplicaSet](c.Registry).CachedOwned(ctx, string(ref.UID))
		if err != nil {
			return nil, err
		}
		sets = siblings
	}
	for _, s := range sets {
		podList, err := registry.For[*corev1.Pod](c.Registry).CachedOwned(ctx, string(s.UID))
		if err != nil {
			return nil, err
		}
		for _, p := range podList {
			if !pods.IsTerminal(p) && p.DeletionTimestamp == nil {
				out[p.Spec.NodeName]++
			}
		}
	}
	return out, nil
}

// failureCause is what the condition says of a failure: the registry's own message. That of a namespace being deleted is no failure.
func failureCause(failed error) error {
	if controller.NamespaceTerminating(failed) {
		return nil
	}
	if cause := errors.Unwrap(failed); cause != nil {
		return cause
	}
	return failed
}
