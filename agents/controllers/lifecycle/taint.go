package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/pods"
)

// taintEviction evicts pods from nodes with NoExecute taints. Its keys are names of nodes.
type taintEviction struct {
	*controller.Env
	mu    sync.Mutex // guards nodes
	nodes map[string]*taintedNode
}

// taintedNode is since when, by this process's clock, a node has each taint and each pod has been seen on it.
type taintedNode struct {
	taints map[string]time.Time
	pods   map[types.UID]time.Time
}

// NewTaint evicts pods that do not tolerate a NoExecute taint of their node, or not for longer than they do already.
func NewTaint(e *controller.Env) controller.Reconciler {
	c := &taintEviction{Env: e, nodes: map[string]*taintedNode{}}
	return controller.Reconciler{
		Reconcile: c.reconcile,
		Watches: []controller.Watch{
			{Kind: core.Node, Keys: func(old, current schema.Object) {
				if current == nil {
					current = old
				}
				if c.tracks(current.GetName()) || len(noExecute(current.(*corev1.Node))) > 0 {
					c.Enqueue(current.GetName(), 0)
				}
			}},
			{Kind: core.Pod, Keys: func(_, current schema.Object) {
				if p, ok := current.(*corev1.Pod); ok && p.Spec.NodeName != "" && p.DeletionTimestamp == nil && c.tracks(p.Spec.NodeName) {
					c.Enqueue(p.Spec.NodeName, controller.CoalesceDelay)
				}
			}},
		},
	}
}

func (c *taintEviction) tracks(node string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[node] != nil
}

func noExecute(n *corev1.Node) (out []corev1.Taint) {
	for _, t := range n.Spec.Taints {
		if t.Effect == corev1.TaintEffectNoExecute {
			out = append(out, t)
		}
	}
	return out
}

func (c *taintEviction) reconcile(ctx context.Context, name string) (time.Duration, error) {
	node, err := registry.For[*corev1.Node](c.Registry).Cached(ctx, "", name)
	if err != nil && !errors.Is(err, registry.NotFound) {
		return 0, err
	}
	if err != nil || len(noExecute(node)) == 0 {
		c.mu.Lock()
		delete(c.nodes, name)
		c.mu.Unlock()
		return 0, nil
	}
	podList, err := registry.For[*corev1.Pod](c.Registry).CachedSelect(ctx, "", "", "spec.nodeName="+name)
	if err != nil {
		return 0, err
	}
	now := time.Now()
	plan, after := planEviction(noExecute(node), podList, c.observe(node, podList, now), now)
	return after, c.Execute(ctx, plan)
}

// observe notes which taints and pods are new on a node.
func (c *taintEviction) observe(node *corev1.Node, podList []*corev1.Pod, now time.Time) *taintedNode {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.nodes[node.Name]
	if before == nil {
		before = &taintedNode{}
	}
	next := &taintedNode{taints: map[string]time.Time{}, pods: map[types.UID]time.Time{}}
	for _, t := range noExecute(node) {
		next.taints[t.Key] = now
		if since, ok := before.taints[t.Key]; ok {
			next.taints[t.Key] = since
		}
	}
	for _, p := range podList {
		next.pods[p.UID] = now
		if since, ok := before.pods[p.UID]; ok {
			next.pods[p.UID] = since
		}
	}
	c.nodes[node.Name] = next
	return next
}

// planEviction decides which pods of a node to evict now; after is when the next one is due.
func planEviction(on []corev1.Taint, podList []*corev1.Pod, since *taintedNode, now time.Time) (plan []controller.Action, after time.Duration) {
	for _, p := range podList {
		if p.DeletionTimestamp != nil || pods.IsTerminal(p) {
			continue
		}
		wait, key, evict := tolerationLeft(on, p, since, now)
		switch {
		case !evict:
		case wait > 0:
			if after == 0 || wait < after {
				after = wait
			}
		default:
			plan = append(plan, evictions(p, key, now)...)
		}
	}
	return plan, after
}

// tolerationLeft is how long a pod still tolerates the taints, and which of them it tolerates least; evict false: for ever.
func tolerationLeft(on []corev1.Taint, p *corev1.Pod, since *taintedNode, now time.Time) (wait time.Duration, key string, evict bool) {
	for _, t := range on {
		d, endless := pods.TolerationTime(p.Spec.Tolerations, &t)
		if endless {
			continue
		}
		start := since.taints[t.Key]
		if s := since.pods[p.UID]; s.After(start) {
			start = s
		}
		if left := start.Add(d).Sub(now); !evict || left < wait {
			wait, key, evict = left, t.Key, true
		}
	}
	return wait, key, evict
}

func evictions(p *corev1.Pod, key string, now time.Time) []controller.Action {
	reason := "it does not tolerate the taint " + key + " of its node any longer"
	c := p.DeepCopy()
	controller.SetPodCondition(c, corev1.DisruptionTarget, corev1.ConditionTrue, "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint", now)
	return []controller.Action{
		{Do: controller.UpdateStatus, Kind: core.Pod, Object: c, Reason: reason},
		{Do: controller.Delete, Kind: core.Pod, Object: p, Reason: reason, Event: &controller.Event{Kind: core.Pod, About: p, Reason: "TaintManagerEviction", Message: fmt.Sprintf("Marking for deletion Pod %s", controller.KeyOf(p))}},
	}
}
