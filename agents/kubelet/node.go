package kubelet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/safely"
	"gantry/schema"
	"gantry/schema/core"
)

// How often the node is looked at, and its object written though nothing changed.
const (
	nodeLookEvery  = 10 * time.Second
	nodeWriteEvery = 5 * time.Minute
	nodeRetry      = time.Second
	// engineAnswers is how long a starting kubelet waits for the engine before it calls the node not ready. Said too
	// early it would take every pod of a restarted kubelet's node out of its services.
	engineAnswers = 5 * time.Second
)

// node keeps the node's object: it registers it, and writes its status when it changed and every nodeWriteEvery.
type node struct {
	k    *kubelet
	wake chan struct{}

	mu   sync.Mutex // guards last
	last *corev1.Node
}

func newNode(k *kubelet) *node { return &node{k: k, wake: make(chan struct{}, 1)} }

// look asks for a look at the node now.
func (n *node) look() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// current is the node's object as last known, nil before it is.
func (n *node) current() *corev1.Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last
}

func (n *node) run(ctx context.Context) error {
	g, ctx := safely.WithContext(ctx)
	g.Go(func() error { return safely.Keep(ctx, n.k.log, "following the node", n.follow) })
	g.Go(func() error { return safely.Keep(ctx, n.k.log, "writing the node", n.write) })
	g.Go(func() error { return safely.Keep(ctx, n.k.log, "renewing the lease", n.k.renewLease) })
	return g.Wait()
}

// follow learns what others write to the node's object: its podCIDR above all.
func (n *node) follow(ctx context.Context) error {
	return ended(ctx, n.k.cfg.Registry.Follow(ctx, core.Node, func(c registry.Change) {
		if c.New == nil {
			if c.Old.Name == n.k.cfg.NodeName {
				n.take(nil)
			}
			return
		}
		if c.New.Name == n.k.cfg.NodeName {
			n.take(c.New.Object().(*corev1.Node))
		}
	}))
}

// take stores a state of the node's object; nil: it is gone, and is registered again.
func (n *node) take(obj *corev1.Node) {
	n.mu.Lock()
	n.last = obj
	n.mu.Unlock()
	if obj == nil {
		n.look()
		return
	}
	cidr, err := netip.ParsePrefix(obj.Spec.PodCIDR)
	if err != nil {
		return // not given yet
	}
	if old := n.k.cidr.Swap(&cidr); old == nil || *old != cidr {
		n.k.log.Info("podCIDR taken", "cidr", cidr)
		n.k.nudgeAll()
		n.look()
	}
}

// write registers the node and keeps its status, until ctx is done.
func (n *node) write(ctx context.Context) error {
	timer := time.NewTimer(engineAnswers)
	defer timer.Stop()
	select {
	case <-n.k.engineKnown:
	case <-timer.C:
	case <-ctx.Done():
		return nil
	}
	timer.Reset(0)
	var written time.Time
	var last corev1.NodeStatus
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.wake:
		case <-timer.C:
		}
		wait := nodeLookEvery
		status := n.status(ctx)
		same := equality.Semantic.DeepEqual(status, last) && n.current() != nil
		if !same || time.Since(written) > nodeWriteEvery {
			switch err := n.put(ctx, status); {
			case ctx.Err() != nil:
				return nil
			case err != nil:
				n.k.log.Warn("node not written", "after", nodeRetry, "err", err)
				wait = nodeRetry
			default:
				written, last = time.Now(), status
			}
		}
		timer.Reset(wait)
	}
}

// put makes the node's object, or brings it up to date.
func (n *node) put(ctx context.Context, status corev1.NodeStatus) error {
	api, name := n.k.cfg.Gateway, n.k.cfg.NodeName
	it, err := api.Get(ctx, core.Node, "", name, "")
	if errors.Is(err, registry.NotFound) {
		if it, err = api.Create(ctx, core.Node, n.object(), registry.WriteOptions{}); err == nil {
			n.k.log.Info("node registered")
			n.k.nodeEvent(corev1.EventTypeNormal, "Starting", "Starting kubelet.")
		}
	}
	if err != nil {
		return fmt.Errorf("registering node %s: %w", name, err)
	}
	if have := it.Object().(*corev1.Node); !hasLabels(have, n.labels()) {
		if _, err := api.Modify(ctx, core.Node, "", name, func(current schema.Object) (schema.Object, error) {
			c := current.(*corev1.Node)
			if c.Labels == nil {
				c.Labels = map[string]string{}
			}
			for k, v := range n.labels() {
				c.Labels[k] = v
			}
			return c, nil
		}, registry.WriteOptions{}); err != nil {
			return fmt.Errorf("labelling node %s: %w", name, err)
		}
	}
	var before []corev1.NodeCondition
	it, err = api.Modify(ctx, core.Node, "", name, func(current schema.Object) (schema.Object, error) {
		c := current.(*corev1.Node)
		before = c.DeepCopy().Status.Conditions
		c.Status = mergeNodeStatus(status, c.Status, metav1.Now())
		return c, nil
	}, registry.WriteOptions{Subresource: "status"})
	if err != nil {
		return fmt.Errorf("writing status of node %s: %w", name, err)
	}
	n.take(it.Object().(*corev1.Node))
	n.tell(before, status.Conditions)
	return nil
}

// tell makes an event of every condition that changed.
func (n *node) tell(before, now []corev1.NodeCondition) {
	for _, c := range now {
		old := conditionOf(before, c.Type)
		if old == nil || old.Status == c.Status {
			continue
		}
		if reason := nodeReasons[c.Type][c.Status]; reason != "" {
			n.k.nodeEvent(corev1.EventTypeNormal, reason, "Node %s status is now: %s", n.k.cfg.NodeName, reason)
		}
	}
}

// object is the node's object when it is new.
func (n *node) object() *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.k.cfg.NodeName, Labels: n.labels()},
		Spec:       corev1.NodeSpec{Taints: n.k.cfg.NodeTaints},
	}
}

func (n *node) labels() map[string]string {
	l := map[string]string{
		corev1.LabelHostname: n.k.cfg.NodeName, corev1.LabelOSStable: "linux", corev1.LabelArchStable: n.k.goarch,
	}
	for k, v := range n.k.cfg.NodeLabels {
		l[k] = v
	}
	return l
}

func hasLabels(obj *corev1.Node, want map[string]string) bool {
	for k, v := range want {
		if obj.Labels[k] != v {
			return false
		}
	}
	return true
}

// allocatable is what the node's pods may use together.
func (k *kubelet) allocatable() corev1.ResourceList {
	if n := k.node.current(); n != nil {
		return n.Status.Allocatable
	}
	return nil
}
