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
)

// nodeLifecycle watches heartbeats. When a node was heard of is measured by this process's own monotonic clock, from
// the change of its lease or status to now: no clock of a node and no step of ours counts.
type nodeLifecycle struct {
	*controller.Env
	limiter *evictionLimiter
	// gracePeriod is how long a node may be silent.
	gracePeriod time.Duration

	mu    sync.Mutex // guards what follows
	nodes map[string]*heard
	// blind is when we could last not see the store, or did not run: no node is silent for what happened before.
	blind time.Time
}

// heard is what is known of a node's heartbeat.
type heard struct {
	renewed, posted time.Time // as the node wrote them: only their change says something
	last            time.Time // when we saw such a change
	ready           bool      // what it was at the last look
}

func NewNodeLifecycle(gracePeriod time.Duration) func(*controller.Env) controller.Reconciler {
	return func(e *controller.Env) controller.Reconciler {
		c := &nodeLifecycle{Env: e, gracePeriod: gracePeriod, nodes: map[string]*heard{}, limiter: newEvictionLimiter()}
		return controller.Reconciler{
			Reconcile: c.reconcile,
			Run:       c.watchStore,
			Watches: []controller.Watch{
				{Kind: core.Node, Keys: c.ofNode},
				{Kind: coordination.Lease, Keys: c.ofLease},
			},
		}
	}
}

func (c *nodeLifecycle) ofNode(old, current schema.Object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if current == nil {
		delete(c.nodes, old.GetName())
		c.Events.Event(core.Node, old, "Normal", "RemovingNode", "Node %s event: Removing Node %s from Controller", old.GetName(), old.GetName())
		return
	}
	n := current.(*corev1.Node)
	if old == nil {
		c.Events.Event(core.Node, n, "Normal", "RegisteredNode", "Node %s event: Registered Node %s in Controller", n.Name, n.Name)
	}
	h := c.heard(n.Name)
	if r := nodeCondition(n, corev1.NodeReady); r != nil && r.LastHeartbeatTime.After(h.posted) {
		h.posted, h.last = r.LastHeartbeatTime.Time, time.Now()
	}
	c.Enqueue(n.Name, 0)
	if o, ok := old.(*corev1.Node); ok && nodeReady(o) != nodeReady(n) {
		for name := range c.nodes { // the brakes depend on how many are ready
			c.Enqueue(name, controller.CoalesceDelay)
		}
	}
}

func (c *nodeLifecycle) ofLease(_, current schema.Object) {
	if current == nil || current.GetNamespace() != corev1.NamespaceNodeLease {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.nodes[current.GetName()]; h != nil && h.renew(current.(*coordinationv1.Lease)) && !h.ready {
		c.Enqueue(current.GetName(), 0)
	}
}

// heard returns what is known of a node; one that is new has just been heard.
func (c *nodeLifecycle) heard(name string) *heard {
	h := c.nodes[name]
	if h == nil {
		h = &heard{last: time.Now()}
		c.nodes[name] = h
	}
	return h
}

func (h *heard) renew(l *coordinationv1.Lease) bool {
	if l.Spec.RenewTime == nil || l.Spec.RenewTime.Time.Equal(h.renewed) {
		return false
	}
	h.renewed, h.last = l.Spec.RenewTime.Time, time.Now()
	return true
}

const (
	// lookEvery is how often we make sure that we see the store.
	lookEvery = 5 * time.Second
	// lookGap is how long we may not have run, or a read may take, before we take ourselves for the one who was away.
	lookGap = 3 * lookEvery
)

// watchStore notices when it is us who hear nothing: a store that does not answer, a process that was stopped.
func (c *nodeLifecycle) watchStore(ctx context.Context) error {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		err := c.look(ctx)
		now := time.Now()
		if err != nil || now.Sub(last) > lookGap {
			c.mu.Lock()
			c.blind = now
			c.mu.Unlock()
			c.Log.Warn("store not seen", "took", now.Sub(last), "err", err)
		}
		last = now
	}
}

func (c *nodeLifecycle) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookGap)
	defer cancel()
	_, err := c.Registry.Get(ctx, core.Namespace, "", corev1.NamespaceNodeLease, "")
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	return err
}

// reconcile looks at one node.
func (c *nodeLifecycle) reconcile(ctx context.Context, name string) (time.Duration, error) {
	node, err := registry.For[*corev1.Node](c.Registry).Cached(ctx, "", name)
	if errors.Is(err, registry.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	silentIn, err := c.silentIn(ctx, name)
	if err != nil {
		return 0, err
	}
	all, err := registry.For[*corev1.Node](c.Registry).CachedList(ctx, "", "")
	if err != nil {
		return 0, err
	}
	now := time.Now()
	allowed, after := c.limiter.allow(node, silentIn <= 0, all, now)
	plan := planNode(node, silentIn <= 0, allowed, now)
	pods, err := c.planPods(ctx, node, silentIn <= 0, now)
	if err != nil {
		return 0, err
	}
	if err := c.Execute(ctx, append(plan, pods...)); err != nil {
		return 0, err
	}
	c.mu.Lock()
	if h := c.nodes[name]; h != nil {
		h.ready = nodeReady(node) && silentIn > 0
	}
	c.mu.Unlock()
	if silentIn > 0 && (after == 0 || silentIn < after) {
		after = silentIn
	}
	return after, nil
}

// silentIn is how long until a node has been silent for the grace period; not above 0: it has been. The last word has
// the lease in the store.
func (c *nodeLifecycle) silentIn(ctx context.Context, name string) (time.Duration, error) {
	if d := c.remaining(name); d > 0 {
		return d, nil
	}
	lease, err := registry.For[*coordinationv1.Lease](c.Registry).Get(ctx, corev1.NamespaceNodeLease, name)
	if err != nil && !errors.Is(err, registry.NotFound) {
		return 0, err
	}
	if err == nil {
		c.mu.Lock()
		c.heard(name).renew(lease)
		c.mu.Unlock()
	}
	return c.remaining(name), nil
}

func (c *nodeLifecycle) remaining(name string) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.heard(name).last
	if c.blind.After(last) {
		last = c.blind
	}
	return c.gracePeriod - time.Since(last)
}

// planPods takes the pods of a node that went away for not ready, so that no service leads there.
func (c *nodeLifecycle) planPods(ctx context.Context, node *corev1.Node, silent bool, now time.Time) ([]controller.Action, error) {
	c.mu.Lock()
	was := c.heard(node.Name).ready
	c.mu.Unlock()
	if !silent && (nodeReady(node) || !was) {
		return nil, nil
	}
	pods, err := registry.For[*corev1.Pod](c.Registry).CachedSelect(ctx, "", "", "spec.nodeName="+node.Name)
	if err != nil {
		return nil, err
	}
	return planNotReady(pods, now), nil
}

func planNotReady(pods []*corev1.Pod, now time.Time) (plan []controller.Action) {
	for _, p := range pods {
		if !controller.PodReady(p) || controller.PodEnded(p) {
			continue
		}
		c := p.DeepCopy()
		controller.SetPodCondition(c, corev1.PodReady, corev1.ConditionFalse, "", "", now)
		plan = append(plan, controller.Action{Do: controller.UpdateStatus, Kind: core.Pod, Object: c, Bulk: true, Reason: "its node is not ready",
			Event: &controller.Event{Kind: core.Pod, About: p, Warning: true, Reason: "NodeNotReady", Message: "Node is not ready"}})
	}
	return plan
}
