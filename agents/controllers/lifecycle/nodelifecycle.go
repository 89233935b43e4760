package lifecycle

import (
	"context"
	"errors"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/coordination"
	"gantry/schema/core"
	"gantry/schema/pods"
)

// nodeLifecycle watches heartbeats. How old a heartbeat is, is measured by this process's own monotonic clock, from the moment its
// change was seen: clocks of nodes and steps of ours do not count. Its keys are names of nodes.
type nodeLifecycle struct {
	*controller.Env
	limiter *evictionLimiter
	// gracePeriod is how old a node's last heartbeat may be.
	gracePeriod   time.Duration
	interruptions controller.Interruptions

	mu         sync.Mutex // guards what follows
	heartbeats map[string]*heartbeat
}

// heartbeat is what is known of a node's heartbeat.
type heartbeat struct {
	renewed, posted time.Time // as the node wrote them: only a change of them counts
	seen            time.Time // when we saw such a change
	ready           bool      // whether the node was ready when it was last reconciled
}

// NewNodeLifecycle marks nodes without heartbeat unreachable, keeps the taints that follow from conditions, and takes pods of nodes that are
// not ready for not ready.
func NewNodeLifecycle(gracePeriod time.Duration) func(*controller.Env) controller.Reconciler {
	return func(e *controller.Env) controller.Reconciler {
		c := &nodeLifecycle{Env: e, gracePeriod: gracePeriod, heartbeats: map[string]*heartbeat{}, limiter: newEvictionLimiter()}
		return controller.Reconciler{
			Reconcile: c.reconcile,
			Run:       c.watchStore,
			Watches: []controller.Watch{
				{Kind: core.Node, Keys: c.onNode},
				{Kind: coordination.Lease, Keys: c.onLease},
			},
		}
	}
}

func (c *nodeLifecycle) onNode(old, current schema.Object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if current == nil {
		delete(c.heartbeats, old.GetName())
		c.Events.Event(core.Node, old, "Normal", "RemovingNode", "Node %s event: Removing Node %s from Controller", old.GetName(), old.GetName())
		return
	}
	n := current.(*corev1.Node)
	if old == nil {
		c.Events.Event(core.Node, n, "Normal", "RegisteredNode", "Node %s event: Registered Node %s in Controller", n.Name, n.Name)
	}
	h := c.heartbeat(n.Name)
	if r := nodeCondition(n, corev1.NodeReady); r != nil && r.LastHeartbeatTime.After(h.posted) {
		h.posted, h.seen = r.LastHeartbeatTime.Time, time.Now()
	}
	c.Enqueue(n.Name, 0)
	if o, ok := old.(*corev1.Node); ok && nodeReady(o) != nodeReady(n) {
		for name := range c.heartbeats { // the eviction rate depends on how many are ready
			c.Enqueue(name, controller.CoalesceDelay)
		}
	}
}

func (c *nodeLifecycle) onLease(_, current schema.Object) {
	if current == nil || current.GetNamespace() != corev1.NamespaceNodeLease {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.heartbeats[current.GetName()]; h != nil && h.renew(current.(*coordinationv1.Lease)) && !h.ready {
		c.Enqueue(current.GetName(), 0)
	}
}

// heartbeat returns what is known of a node's heartbeat; that of a new node has just been seen.
func (c *nodeLifecycle) heartbeat(name string) *heartbeat {
	h := c.heartbeats[name]
	if h == nil {
		h = &heartbeat{seen: time.Now()}
		c.heartbeats[name] = h
	}
	return h
}

// renew notes a lease and tells whether it was renewed since the last one.
func (h *heartbeat) renew(l *coordinationv1.Lease) bool {
	if l.Spec.RenewTime == nil || l.Spec.RenewTime.Time.Equal(h.renewed) {
		return false
	}
	h.renewed, h.seen = l.Spec.RenewTime.Time, time.Now()
	return true
}

// maxCheckGap is how long two checks that the store answers may be apart: more counts as an interruption of this process.
const maxCheckGap = 15 * time.Second

func (c *nodeLifecycle) watchStore(ctx context.Context) error {
	return c.interruptions.Watch(ctx, c.Log, maxCheckGap, c.checkStore)
}

func (c *nodeLifecycle) checkStore(ctx context.Context) error {
	_, err := c.Registry.Get(ctx, core.Namespace, "", corev1.NamespaceNodeLease, "")
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	return err
}

func (c *nodeLifecycle) reconcile(ctx context.Context, name string) (time.Duration, error) {
	node, err := registry.For[*corev1.Node](c.Registry).Cached(ctx, "", name)
	if errors.Is(err, registry.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	remaining, err := c.untilUnreachable(ctx, name)
	if err != nil {
		return 0, err
	}
	all, err := registry.For[*corev1.Node](c.Registry).CachedList(ctx, "", "")
	if err != nil {
		return 0, err
	}
	now, unreachable := time.Now(), remaining <= 0
	allowed, after := c.limiter.allow(node, unreachable, all, now)
	plan := planNode(node, unreachable, allowed, now)
	podList, err := c.planPods(ctx, node, unreachable, now)
	if err != nil {
		return 0, err
	}
	if err := c.Execute(ctx, append(plan, podList...)); err != nil {
		return 0, err
	}
	c.mu.Lock()
	if h := c.heartbeats[name]; h != nil {
		h.ready = nodeReady(node) && !unreachable
	}
	c.mu.Unlock()
	if !unreachable && (after == 0 || remaining < after) {
		after = remaining
	}
	return after, nil
}

// untilUnreachable is how long until a node's last heartbeat is older than the grace period; not above 0: it is. A consistent read of the
// lease decides.
func (c *nodeLifecycle) untilUnreachable(ctx context.Context, name string) (time.Duration, error) {
	if d := c.remaining(name); d > 0 {
		return d, nil
	}
	lease, err := registry.For[*coordinationv1.Lease](c.Registry).Get(ctx, corev1.NamespaceNodeLease, name)
	if err != nil && !errors.Is(err, registry.NotFound) {
		return 0, err
	}
	if err == nil {
		c.mu.Lock()
		c.heartbeat(name).renew(lease)
		c.mu.Unlock()
	}
	return c.remaining(name), nil
}

func (c *nodeLifecycle) remaining(name string) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gracePeriod - c.interruptions.Age(c.heartbeat(name).seen)
}

// planPods sets the pods of a node to not ready when the node ceases to be ready, so that no service leads to them.
func (c *nodeLifecycle) planPods(ctx context.Context, node *corev1.Node, unreachable bool, now time.Time) ([]controller.Action, error) {
	c.mu.Lock()
	was := c.heartbeat(node.Name).ready
	c.mu.Unlock()
	if !unreachable && (nodeReady(node) || !was) {
		return nil, nil
	}
	podList, err := registry.For[*corev1.Pod](c.Registry).CachedSelect(ctx, "", "", "spec.nodeName="+node.Name)
	if err != nil {
		return nil, err
	}
	return planNotReady(podList, now), nil
}

func planNotReady(podList []*corev1.Pod, now time.Time) (plan []controller.Action) {
	for _, p := range podList {
		if !pods.IsReady(p) || pods.IsTerminal(p) {
			continue
		}
		c := p.DeepCopy()
		controller.SetPodCondition(c, corev1.PodReady, corev1.ConditionFalse, "", "", now)
		plan = append(plan, controller.Action{Do: controller.UpdateStatus, Kind: core.Pod, Object: c, Bulk: true, Reason: "its node is not ready",
			Event: &controller.Event{Kind: core.Pod, About: p, Warning: true, Reason: "NodeNotReady", Message: "Node is not ready"}})
	}
	return plan
}
