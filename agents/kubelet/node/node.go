// Package node keeps the object and the heartbeat of the node that a kubelet runs on.
//
// It registers the node through a gateway and keeps its status: addresses, capacity, conditions, images. The status is written when it
// changed, and every five minutes. The heartbeat, Lease kube-node-lease/<node>, is renewed straight in etcd: a node counts as alive
// while every gateway is away. What others write to the object, its podCIDR above all, is followed and can be asked for.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/internal/bridge"
	"gantry/agents/internal/events"
	"gantry/agents/kubelet/engine"
	"gantry/registry"
	"gantry/registry/safely"
	"gantry/schema"
	"gantry/schema/core"
)

// How often the node is checked, and its object written though nothing changed.
const (
	checkEvery = 10 * time.Second
	writeEvery = 5 * time.Minute
	writeRetry = time.Second
	// engineTimeout is how long a starting kubelet waits for the engine before it calls the node not ready. Said too
	// early it would take every pod of a restarted kubelet's node out of its services.
	engineTimeout = 5 * time.Second
)

// Config is what a Node needs.
type Config struct {
	// Registry reads the node's object and writes its heartbeat.
	Registry *registry.Registry
	// Gateway writes the node's object.
	Gateway registry.API
	Name    string
	// IPs are the node's own addresses, one for each family, the first one of the pods' first family.
	IPs []netip.Addr
	// Labels are set on the node besides kubernetes.io/{hostname,os,arch}.
	Labels map[string]string
	// Annotations are set on the node.
	Annotations map[string]string
	// Taints are set when the node is registered.
	Taints []corev1.Taint
	// Port is where the kubelet serves.
	Port    int32
	MaxPods int
	// DataDir is on the file system whose space the pods use.
	DataDir string
	Engine  engine.Engine
	// EngineKnown is closed when the engine has answered, or has been found away, for the first time.
	EngineKnown <-chan struct{}
	// Fault is why the engine cannot run pods, nil: it can.
	Fault func() error
	// CIDRChanged is called when the node has got its podCIDR, or another one. It must not block.
	CIDRChanged func()
	Events      *events.Recorder
	Log         *slog.Logger
}

// Node keeps a node's object and heartbeat. Its methods may be called at the same time.
type Node struct {
	cfg    Config
	goarch string
	wake   chan struct{}
	// cidrs are the node's podCIDRs, nil until it has one.
	cidrs atomic.Pointer[[]netip.Prefix]

	mu   sync.Mutex // guards last
	last *corev1.Node
}

// New returns a Node; it starts nothing.
func New(cfg Config) *Node {
	return &Node{cfg: cfg, goarch: runtime.GOARCH, wake: make(chan struct{}, 1)}
}

// Wake has the status checked now. It never blocks.
func (n *Node) Wake() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// Current is the node's object as last known, nil before it is. It is read-only.
func (n *Node) Current() *corev1.Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last
}

// PodCIDRs are the node's ranges of pod addresses, one for each family; none until it has one.
func (n *Node) PodCIDRs() []netip.Prefix {
	if p := n.cidrs.Load(); p != nil {
		return *p
	}
	return nil
}

// Allocatable is what the node's pods may use together, nil until it is known.
func (n *Node) Allocatable() corev1.ResourceList {
	if obj := n.Current(); obj != nil {
		return obj.Status.Allocatable
	}
	return nil
}

// Run keeps the node until ctx is done.
func (n *Node) Run(ctx context.Context) error {
	g, ctx := safely.WithContext(ctx)
	g.Go(func() error { return safely.Keep(ctx, n.cfg.Log, "following the node", n.follow) })
	g.Go(func() error { return safely.Keep(ctx, n.cfg.Log, "writing the node", n.write) })
	g.Go(func() error { return safely.Keep(ctx, n.cfg.Log, "renewing the lease", n.renewLease) })
	return g.Wait()
}

// follow learns what others write to the node's object: its podCIDR above all.
func (n *Node) follow(ctx context.Context) error {
	err := n.cfg.Registry.Follow(ctx, core.Node, func(c registry.Change) {
		if c.New == nil {
			if c.Old.Name == n.cfg.Name {
				n.setCurrent(nil)
			}
			return
		}
		if c.New.Name == n.cfg.Name {
			n.setCurrent(c.New.Object().(*corev1.Node))
		}
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// setCurrent stores a state of the node's object; nil: it is gone, and is registered again.
func (n *Node) setCurrent(obj *corev1.Node) {
	n.mu.Lock()
	n.last = obj
	n.mu.Unlock()
	if obj == nil {
		n.Wake()
		return
	}
	var cidrs []netip.Prefix
	for _, text := range bridge.PodCIDRs(obj) {
		if p, err := netip.ParsePrefix(text); err == nil {
			cidrs = append(cidrs, p)
		}
	}
	if len(cidrs) == 0 {
		return // not given yet
	}
	if old := n.cidrs.Swap(&cidrs); old == nil || !slices.Equal(*old, cidrs) {
		n.cfg.Log.Info("podCIDR assigned", "cidr", cidrs)
		n.cfg.CIDRChanged()
		n.Wake()
	}
}

// write registers the node and keeps its status, until ctx is done.
func (n *Node) write(ctx context.Context) error {
	timer := time.NewTimer(engineTimeout)
	defer timer.Stop()
	select {
	case <-n.cfg.EngineKnown:
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
		wait := checkEvery
		status := n.status(ctx)
		same := equality.Semantic.DeepEqual(status, last) && n.Current() != nil
		if !same || time.Since(written) > writeEvery {
			switch err := n.put(ctx, status); {
			case ctx.Err() != nil:
				return nil
			case err != nil:
				n.cfg.Log.Warn("node not written", "after", writeRetry, "err", err)
				wait = writeRetry
			default:
				written, last = time.Now(), status
			}
		}
		timer.Reset(wait)
	}
}

// put makes the node's object, or brings it up to date.
func (n *Node) put(ctx context.Context, status corev1.NodeStatus) error {
	api, name := n.cfg.Gateway, n.cfg.Name
	it, err := api.Get(ctx, core.Node, "", name, "")
	if errors.Is(err, registry.NotFound) {
		if it, err = api.Create(ctx, core.Node, n.object(), registry.WriteOptions{}); err == nil {
			n.cfg.Log.Info("node registered")
			n.event("Starting", "Starting kubelet.")
		}
	}
	if err != nil {
		return fmt.Errorf("registering node %s: %w", name, err)
	}
	if have := it.Object().(*corev1.Node); !hasAll(have.Labels, n.labels()) || !hasAll(have.Annotations, n.cfg.Annotations) {
		if _, err := api.Modify(ctx, core.Node, "", name, func(current schema.Object) (schema.Object, error) {
			c := current.(*corev1.Node)
			c.Labels, c.Annotations = withAll(c.Labels, n.labels()), withAll(c.Annotations, n.cfg.Annotations)
			return c, nil
		}, registry.WriteOptions{}); err != nil {
			return fmt.Errorf("labelling node %s: %w", name, err)
		}
	}
	var before []corev1.NodeCondition
	it, err = api.Modify(ctx, core.Node, "", name, func(current schema.Object) (schema.Object, error) {
		c := current.(*corev1.Node)
		before = c.DeepCopy().Status.Conditions
		c.Status = mergeStatus(status, c.Status, metav1.Now())
		return c, nil
	}, registry.WriteOptions{Subresource: "status"})
	if err != nil {
		return fmt.Errorf("writing status of node %s: %w", name, err)
	}
	n.setCurrent(it.Object().(*corev1.Node))
	n.recordConditions(before, status.Conditions)
	return nil
}

// recordConditions records an event for every condition that changed.
func (n *Node) recordConditions(before, now []corev1.NodeCondition) {
	for _, c := range now {
		old := Condition(before, c.Type)
		if old == nil || old.Status == c.Status {
			continue
		}
		if reason := conditionReasons[c.Type][c.Status]; reason != "" {
			n.event(reason, "Node %s status is now: %s", n.cfg.Name, reason)
		}
	}
}

// event records what happened to the node.
func (n *Node) event(reason, format string, args ...any) {
	n.cfg.Events.Ref(corev1.ObjectReference{APIVersion: core.Node.APIVersion(), Kind: core.Node.Kind, Name: n.cfg.Name}, corev1.EventTypeNormal, reason, format, args...)
}

// object is the node's object when it is new.
func (n *Node) object() *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.cfg.Name, Labels: n.labels(), Annotations: n.cfg.Annotations},
		Spec:       corev1.NodeSpec{Taints: n.cfg.Taints},
	}
}

func (n *Node) labels() map[string]string {
	l := map[string]string{
		corev1.LabelHostname: n.cfg.Name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: n.goarch,
	}
	for k, v := range n.cfg.Labels {
		l[k] = v
	}
	return l
}

func hasAll(have, want map[string]string) bool {
	for k, v := range want {
		if have[k] != v {
			return false
		}
	}
	return true
}

// withAll is have, which may be changed, with the entries of want.
func withAll(have, want map[string]string) map[string]string {
	if have == nil {
		have = map[string]string{}
	}
	maps.Copy(have, want)
	return have
}
