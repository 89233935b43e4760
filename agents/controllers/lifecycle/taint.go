package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

// taints evicts pods from nodes with NoExecute taints. Its keys are nodes.
type taints struct {
	*controller.Env
	mu sync.Mutex // guards nodes
	// nodes have since when, by our clock, a taint is on a node and a pod is on a node with a taint.
	nodes map[string]*tainted
}

type tainted struct {
	taints map[string]time.Time
	pods   map[types.UID]time.Time
}

func NewTaint(e *controller.Env) controller.Reconciler {
	c := &taints{Env: e, nodes: map[string]*tainted{}}
	return controller.Reconciler{
		Reconcile: c.reconcile,
		Watches: []controller.Watch{
			{Kind: core.Node, Keys: func(old, current schema.Object) {
				if current == nil {
					current = old
				}
				if c.has(current.GetName()) || len(noExecute(current.(*corev1.Node))) > 0 {
					c.Enqueue(current.GetName(), 0)
				}
			}},
			{Kind: core.Pod, Keys: func(_, current schema.Object) {
				if p, ok := current.(*corev1.Pod); ok && p.Spec.NodeName != "" && p.DeletionTimestamp == nil && c.has(p.Spec.NodeName) {
					c.Enqueue(p.Spec.NodeName, controller.CoalesceDelay)
				}
			}},
		},
	}
}

func (c *taints) has(node string) bool {
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

func (c *taints) reconcile(ctx context.Context, name string) (time.Duration, error) {
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
	pods, err := registry.For[*corev1.Pod](c.Registry).CachedSelect(ctx, "", "", "spec.nodeName="+name)
	if err != nil {
		return 0, err
	}
	now := time.Now()
	plan, after := planEviction(noExecute(node), pods, c.observe(node, pods, now), now)
	return after, c.Execute(ctx, plan)
}

// observe notes what is new on a node.
func (c *taints) observe(node *corev1.Node, pods []*corev1.Pod, now time.Time) *tainted {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.nodes[node.Name]
	if was == nil {
		was = &tainted{}
	}
	is := &tainted{taints: map[string]time.Time{}, pods: map[types.UID]time.Time{}}
	for _, t := range noExecute(node) {
		is.taints[t.Key] = now
		if since, ok := was.taints[t.Key]; ok {
			is.taints[t.Key] = since
		}
	}
	for _, p := range pods {
		is.pods[p.UID] = now
		if since, ok := was.pods[p.UID]; ok {
			is.pods[p.UID] = since
		}
	}
	c.nodes[node.Name] = is
	return is
}

// planEviction decides which pods of a node must go now; after is when the next one must.
func planEviction(on []corev1.Taint, pods []*corev1.Pod, since *tainted, now time.Time) (plan []controller.Action, after time.Duration) {
	for _, p := range pods {
		if p.DeletionTimestamp != nil || controller.PodEnded(p) {
			continue
		}
		wait, key, evict := patience(on, p, since, now)
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

// patience is how long a pod still tolerates the taints, and which of them it tolerates least; evict false: for ever.
func patience(on []corev1.Taint, p *corev1.Pod, since *tainted, now time.Time) (wait time.Duration, key string, evict bool) {
	for _, t := range on {
		d, endless := tolerates(p, t)
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

// tolerates is for how long a pod bears a taint: the shortest of the tolerations that match, 0 where none does.
func tolerates(p *corev1.Pod, t corev1.Taint) (d time.Duration, endless bool) {
	matched := false
	shortest := int64(-1)
	for i := range p.Spec.Tolerations {
		if !p.Spec.Tolerations[i].ToleratesTaint(klog.Logger{}, &t, true) {
			continue
		}
		matched = true
		if s := p.Spec.Tolerations[i].TolerationSeconds; s != nil && (shortest < 0 || *s < shortest) {
			shortest = min(max(*s, 0), 1<<31)
		}
	}
	if matched && shortest < 0 {
		return 0, true
	}
	return time.Duration(max(shortest, 0)) * time.Second, false
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
