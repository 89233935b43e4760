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
)

const (
	// podGCEvery is how often all pods are looked at.
	podGCEvery = 20 * time.Second
	// lostFor is how long a node must be missing before its pods are given up.
	lostFor = 40 * time.Second
)

// podGC has one key: everything.
type podGC struct {
	*controller.Env
	threshold int        // how many pods that have ended are kept; below 0: all
	mu        sync.Mutex // guards lost
	// lost is since when a node that pods name has been missing.
	lost map[string]time.Time
}

func NewPodGC(threshold int) func(*controller.Env) controller.Reconciler {
	return func(e *controller.Env) controller.Reconciler {
		c := &podGC{Env: e, threshold: threshold, lost: map[string]time.Time{}}
		const everything = "everything"
		return controller.Reconciler{
			Reconcile: c.reconcile,
			Run: func(ctx context.Context) error {
				c.Enqueue(everything, 0)
				<-ctx.Done()
				return nil
			},
			Watches: []controller.Watch{
				{Kind: core.Node, Keys: func(old, current schema.Object) {
					if current == nil {
						c.Enqueue(everything, lostFor)
					}
				}},
				{Kind: core.Pod, Keys: func(old, current schema.Object) {
					if p, ok := current.(*corev1.Pod); ok && p.DeletionTimestamp != nil && p.Spec.NodeName == "" {
						c.Enqueue(everything, controller.CoalesceDelay)
					}
				}},
			},
		}
	}
}

func (c *podGC) reconcile(ctx context.Context, _ string) (time.Duration, error) {
	pods, err := c.Registry.List(ctx, core.Pod, "", registry.ListOptions{ResourceVersion: "0"})
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
	lost, err := c.lostNodes(ctx, pods.Items, known)
	if err != nil {
		return podGCEvery, err
	}
	return podGCEvery, c.Execute(ctx, planPodGC(suspects(pods.Items, known, lost), known, lost, c.threshold, time.Now()))
}

// suspects are the pods that could be forgotten. The others, nearly all, run on a node that is there: they are not even
// decoded.
func suspects(items []*registry.Item, nodes map[string]*corev1.Node, lost map[string]bool) (pods []*corev1.Pod) {
	for _, it := range items {
		node, phase := it.Field("spec.nodeName"), corev1.PodPhase(it.Field("status.phase"))
		waits := it.Deleting() && (node == "" || outOfService(nodes[node]))
		if waits || lost[node] || phase == corev1.PodSucceeded || phase == corev1.PodFailed {
			pods = append(pods, it.Object().(*corev1.Pod))
		}
	}
	return pods
}

// lostNodes are the nodes that pods name and that have been missing for long enough.
func (c *podGC) lostNodes(ctx context.Context, pods []*registry.Item, known map[string]*corev1.Node) (map[string]bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	seen, out := map[string]time.Time{}, map[string]bool{}
	for _, p := range pods {
		name := p.Field("spec.nodeName")
		if _, again := seen[name]; name == "" || known[name] != nil || again {
			continue
		}
		since, ok := c.lost[name]
		if !ok {
			since = now
		}
		seen[name] = since
		if now.Sub(since) < lostFor {
			continue
		}
		_, err := registry.For[*corev1.Node](c.Registry).Get(ctx, "", name)
		if err != nil && !errors.Is(err, registry.NotFound) {
			return nil, err
		}
		out[name] = err != nil
	}
	c.lost = seen
	return out, nil
}

// planPodGC decides which pods to forget: those whose node is lost, those being deleted that no kubelet will confirm, and
// the oldest of those that ended where there are more than threshold.
func planPodGC(pods []*corev1.Pod, nodes map[string]*corev1.Node, lost map[string]bool, threshold int, now time.Time) (plan []controller.Action) {
	var terminated []*corev1.Pod
	for _, p := range pods {
		switch {
		case lost[p.Spec.NodeName]:
			plan = append(plan, giveUp(p, "PodGC: node no longer exists", now)...)
		case p.DeletionTimestamp != nil && p.Spec.NodeName == "":
			plan = append(plan, giveUp(p, "", now)...)
		case p.DeletionTimestamp != nil && outOfService(nodes[p.Spec.NodeName]):
			plan = append(plan, giveUp(p, "PodGC: node is out of service", now)...)
		case controller.PodEnded(p) && p.DeletionTimestamp == nil:
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
		plan = append(plan, atOnce(p, "more pods have ended than are kept"))
	}
	return plan
}

func outOfService(n *corev1.Node) bool {
	return n != nil && !nodeReady(n) && slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeOutOfService })
}

// giveUp deletes a pod at once, saying in its status first why it ended; message "" says nothing.
func giveUp(p *corev1.Pod, message string, now time.Time) []controller.Action {
	reason := "it was never on a node, and nobody else confirms its deletion"
	var plan []controller.Action
	if message != "" {
		reason = message
		if !controller.PodEnded(p) {
			c := p.DeepCopy()
			c.Status.Phase = corev1.PodFailed
			controller.SetPodCondition(c, corev1.DisruptionTarget, corev1.ConditionTrue, "DeletionByPodGC", message, now)
			plan = append(plan, controller.Action{Do: controller.UpdateStatus, Kind: core.Pod, Object: c, Reason: reason})
		}
	}
	return append(plan, atOnce(p, reason))
}

func atOnce(p *corev1.Pod, reason string) controller.Action {
	return controller.Action{Do: controller.Delete, Kind: core.Pod, Object: p, Reason: reason, DeleteOptions: registry.DeleteOptions{GracePeriodSeconds: new(int64)}}
}
