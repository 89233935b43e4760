package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/pods"
)

const (
	// podGCEvery is how often all pods are checked.
	podGCEvery = 20 * time.Second
	// nodeMissingFor is how long a node must be missing before its pods are deleted.
	nodeMissingFor = 40 * time.Second
)

// podGC has one key: all pods.
type podGC struct {
	*controller.Env
	threshold int        // how many pods that have ended are kept; below 0: all
	mu        sync.Mutex // guards missing
	// missing is since when a node that pods name does not exist.
	missing map[string]time.Time
}

// NewPodGC deletes pods that have ended, as soon as there are more than threshold (below 0: never), lost their node, or never got one.
func NewPodGC(threshold int) func(*controller.Env) controller.Reconciler {
	return func(e *controller.Env) controller.Reconciler {
		c := &podGC{Env: e, threshold: threshold, missing: map[string]time.Time{}}
		const allPods = "pods"
		return controller.Reconciler{
			Reconcile: c.reconcile,
			Run:       c.EnqueueOnce(allPods),
			Watches: []controller.Watch{
				{Kind: core.Node, Keys: func(old, current schema.Object) {
					if current == nil {
						c.Enqueue(allPods, nodeMissingFor)
					}
				}},
				{Kind: core.Pod, Keys: func(old, current schema.Object) {
					if p, ok := current.(*corev1.Pod); ok && p.DeletionTimestamp != nil && p.Spec.NodeName == "" {
						c.Enqueue(allPods, controller.CoalesceDelay)
					}
				}},
			},
		}
	}
}

func (c *podGC) reconcile(ctx context.Context, _ string) (time.Duration, error) {
	podList, err := c.Registry.List(ctx, core.Pod, "", registry.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return podGCEvery, err
	}
	nodes, err := registry.For[*corev1.Node](c.Registry).CachedList(ctx, "", "")
	if err != nil {
		return podGCEvery, err
	}
	known := map[string]*corev1.Node{}
	for _, n := range nodes {
		known[n.Name] = n
	}
	missing, err := c.missingNodes(ctx, podList.Items, known)
	if err != nil {
		return podGCEvery, err
	}
	return podGCEvery, c.Execute(ctx, planPodGC(candidates(podList.Items, known, missing), known, missing, c.threshold, time.Now()))
}

// candidates are the pods that may have to be deleted. The others, nearly all, run on a node that exists: they are not even decoded.
func candidates(items []*registry.Item, nodes map[string]*corev1.Node, missing map[string]bool) (podList []*corev1.Pod) {
	for _, it := range items {
		node, phase := it.Field("spec.nodeName"), corev1.PodPhase(it.Field("status.phase"))
		waits := it.Deleting() && (node == "" || outOfService(nodes[node]))
		if waits || missing[node] || phase == corev1.PodSucceeded || phase == corev1.PodFailed {
			podList = append(podList, it.Object().(*corev1.Pod))
		}
	}
	return podList
}

// missingNodes are the nodes that pods name and that have not existed for nodeMissingFor.
func (c *podGC) missingNodes(ctx context.Context, podList []*registry.Item, known map[string]*corev1.Node) (map[string]bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	seen, out := map[string]time.Time{}, map[string]bool{}
	for _, p := range podList {
		name := p.Field("spec.nodeName")
		if _, again := seen[name]; name == "" || known[name] != nil || again {
			continue
		}
		since, ok := c.missing[name]
		if !ok {
			since = now
		}
		seen[name] = since
		if now.Sub(since) < nodeMissingFor {
			continue
		}
		_, err := registry.For[*corev1.Node](c.Registry).Get(ctx, "", name)
		if err != nil && !errors.Is(err, registry.NotFound) {
			return nil, err
		}
		out[name] = err != nil
	}
	c.missing = seen
	return out, nil
}

// planPodGC decides which pods to delete: those whose node is missing, those whose deletion no kubelet will confirm, and
// the oldest of those that ended where there are more than threshold.
func planPodGC(podList []*corev1.Pod, nodes map[string]*corev1.Node, missing map[string]bool, threshold int, now time.Time) (plan []controller.Action) {
	var terminated []*corev1.Pod
	for _, p := range podList {
		switch {
		case missing[p.Spec.NodeName]:
			plan = append(plan, deleteFailed(p, "PodGC: node no longer exists", now)...)
		case p.DeletionTimestamp != nil && p.Spec.NodeName == "":
			plan = append(plan, deleteFailed(p, "", now)...)
		case p.DeletionTimestamp != nil && outOfService(nodes[p.Spec.NodeName]):
			plan = append(plan, deleteFailed(p, "PodGC: node is out of service", now)...)
		case pods.IsTerminal(p) && p.DeletionTimestamp == nil:
			terminated = append(terminated, p)
		}
	}
	if threshold < 0 || len(terminated) <= threshold {
		return plan
	}
	slices.SortFunc(terminated, func(a, b *corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(controller.KeyOf(a), controller.KeyOf(b)))
	})
	for _, p := range terminated[:len(terminated)-threshold] {
		plan = append(plan, deleteNow(p, "more pods have ended than are kept"))
	}
	return plan
}

func outOfService(n *corev1.Node) bool {
	return n != nil && !nodeReady(n) && slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeOutOfService })
}

// deleteFailed deletes a pod at once, saying in its status first why it ended; message "" says nothing.
func deleteFailed(p *corev1.Pod, message string, now time.Time) []controller.Action {
	reason := "it was never on a node, and nobody else confirms its deletion"
	var plan []controller.Action
	if message != "" {
		reason = message
		if !pods.IsTerminal(p) {
			c := p.DeepCopy()
			c.Status.Phase = corev1.PodFailed
			controller.SetPodCondition(c, corev1.DisruptionTarget, corev1.ConditionTrue, "DeletionByPodGC", message, now)
			plan = append(plan, controller.Action{Do: controller.UpdateStatus, Kind: core.Pod, Object: c, Reason: reason})
		}
	}
	return append(plan, deleteNow(p, reason))
}

func deleteNow(p *corev1.Pod, reason string) controller.Action {
	return controller.Action{Do: controller.Delete, Kind: core.Pod, Object: p, Reason: reason, DeleteOptions: registry.DeleteOptions{GracePeriodSeconds: new(int64)}}
}
