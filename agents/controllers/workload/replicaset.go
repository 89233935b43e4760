package workload

import (
	"context"
	"errors"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/apps"
	"gantry/schema/core"
)

type replicaSets struct {
	*controller.Env
	index *controller.SelectorIndex
}

func NewReplicaSet(e *controller.Env) controller.Reconciler {
	c := replicaSets{e, controller.NewSelectorIndex()}
	return controller.Reconciler{
		Reconcile: c.reconcile,
		Watches: []controller.Watch{
			{Kind: apps.ReplicaSet, Keys: c.ofSet},
			{Kind: core.Pod, Keys: c.ofPod},
		},
	}
}

func (c replicaSets) ofSet(old, current schema.Object) {
	if current == nil {
		c.index.Set(old, nil)
		return
	}
	c.index.Set(current, controller.SelectorOf(current.(*appsv1.ReplicaSet).Spec.Selector))
	c.Enqueue(controller.KeyOf(current), 0)
}

// ofPod leaves out changes of a pod that no replica set looks at.
func (c replicaSets) ofPod(old, current schema.Object) {
	if old != nil && current != nil && samePod(old.(*corev1.Pod), current.(*corev1.Pod)) {
		return
	}
	c.EnqueueOwner("ReplicaSet", c.index, old, current)
}

func samePod(a, b *corev1.Pod) bool {
	return a.UID == b.UID && a.Status.Phase == b.Status.Phase && (a.DeletionTimestamp == nil) == (b.DeletionTimestamp == nil) &&
		controller.PodReadySince(a).Equal(controller.PodReadySince(b)) && equality.Semantic.DeepEqual(a.Labels, b.Labels) && equality.Semantic.DeepEqual(a.OwnerReferences, b.OwnerReferences)
}

// reconcile looks at one replica set: first its pods, then its status.
func (c replicaSets) reconcile(ctx context.Context, key string) (time.Duration, error) {
	ns, name, _ := strings.Cut(key, "/")
	rs, err := registry.For[*appsv1.ReplicaSet](c.Registry).Cached(ctx, ns, name)
	if errors.Is(err, registry.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	mine, done, plan, err := c.observe(ctx, rs)
	if err != nil {
		return 0, err
	}
	c.index.SetSize(key, len(mine))
	if len(plan) > 0 {
		return controller.RequeueNow, c.AdoptAndRelease(ctx, apps.ReplicaSet, rs, plan)
	}
	related, err := c.related(ctx, rs, mine)
	if err != nil {
		return 0, err
	}
	now := time.Now()
	plan = planPods(rs, mine, related, now)
	wait := time.Duration(0)
	if len(plan) > 0 && plan[0].Do == controller.Create {
		if wait = refusalBackoff(mine, done, now); wait > 0 {
			c.Log.Info("pods not created yet", "ns", ns, "name", name, "reason", "nodes refused the last ones", "after", wait)
			plan = nil
		}
	}
	failed := c.Execute(ctx, plan)
	condition := failed
	if controller.NamespaceTerminating(failed) {
		condition = nil // nobody needs to be told
	}
	if condition != nil && len(plan) > 0 {
		c.report(rs, plan[0].Do, failed)
	}
	status, after := planReplicaSetStatus(rs, mine, plan, condition, now)
	if after == 0 || wait > 0 && wait < after {
		after = wait
	}
	return after, errors.Join(failed, c.Execute(ctx, status))
}

// observe finds the pods of a replica set, those that have ended apart, and what there is to adopt and release.
func (c replicaSets) observe(ctx context.Context, rs *appsv1.ReplicaSet) (mine, done []*corev1.Pod, plan []controller.Action, err error) {
	selector := controller.SelectorOf(rs.Spec.Selector)
	if selector == nil {
		return nil, nil, nil, nil // planPods makes none either
	}
	pods := registry.For[*corev1.Pod](c.Registry)
	owned, err := pods.CachedOwned(ctx, string(rs.UID))
	if err != nil {
		return nil, nil, nil, err
	}
	selected, err := pods.CachedList(ctx, rs.Namespace, selector.String())
	if err != nil {
		return nil, nil, nil, err
	}
	for _, p := range owned {
		if controller.PodEnded(p) {
			done = append(done, p)
		}
	}
	mine, plan = controller.ClaimChildren(apps.ReplicaSet, rs, core.Pod, selector, living(controller.Union(owned, selected)))
	return mine, done, plan, nil
}

// living leaves out pods that have ended: they are neither counted nor adopted.
func living(pods []*corev1.Pod) []*corev1.Pod {
	var out []*corev1.Pod
	for _, p := range pods {
		if !controller.PodEnded(p) {
			out = append(out, p)
		}
	}
	return out
}

// related counts, by node, the living pods of all replica sets of the same deployment; only a deletion needs to know.
func (c replicaSets) related(ctx context.Context, rs *appsv1.ReplicaSet, mine []*corev1.Pod) (map[string]int, error) {
	out := map[string]int{}
	if len(mine) <= int(size(rs)) {
		return out, nil
	}
	sets := []*appsv1.ReplicaSet{rs}
	if ref := metav1.GetControllerOfNoCopy(rs); ref != nil {
		siblings, err := registry.For[*appsv1.ReplicaSet](c.Registry).CachedOwned(ctx, string(ref.UID))
		if err != nil {
			return nil, err
		}
		sets = siblings
	}
	for _, s := range sets {
		pods, err := registry.For[*corev1.Pod](c.Registry).CachedOwned(ctx, string(s.UID))
		if err != nil {
			return nil, err
		}
		for _, p := range pods {
			if !controller.PodEnded(p) && p.DeletionTimestamp == nil {
				out[p.Spec.NodeName]++
			}
		}
	}
	return out, nil
}

func (c replicaSets) report(rs *appsv1.ReplicaSet, do controller.Verb, failed error) {
	if errors.Is(failed, context.Canceled) || errors.Is(failed, registry.Conflict) {
		return
	}
	reason, doing := "FailedCreate", "creating"
	if do == controller.Delete {
		reason, doing = "FailedDelete", "deleting"
	}
	c.Events.Event(apps.ReplicaSet, rs, "Warning", reason, "Error %s: %v", doing, errors.Unwrap(failed))
}
