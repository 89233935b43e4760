package proxy

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"gantry/agents/internal/bridge"
)

// inventory is what the watches told: services, their slices, the nodes and the pods with host ports, and which services
// and pods to look at again.
type inventory struct {
	mu       sync.Mutex // guards everything below
	services map[string]*corev1.Service
	slices   map[string]map[string]*discoveryv1.EndpointSlice // by service, then by their own name
	nodes    map[string]*corev1.Node
	pods     map[string]*corev1.Pod // those with host ports, by podName
	dirty    map[string]bool
	allDirty bool
	since    time.Time     // of the oldest change not yet taken
	changed  chan struct{} // has one message while something is dirty
}

func newInventory() *inventory {
	return &inventory{
		services: map[string]*corev1.Service{}, slices: map[string]map[string]*discoveryv1.EndpointSlice{},
		nodes: map[string]*corev1.Node{}, pods: map[string]*corev1.Pod{}, dirty: map[string]bool{}, changed: make(chan struct{}, 1),
	}
}

// lookAtPods makes every pod be looked at again.
func (inv *inventory) lookAtPods() {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	for name := range inv.pods {
		inv.touch(name)
	}
}

// touch notes that a service or pod is to be looked at; mu is held.
func (inv *inventory) touch(name string) {
	if len(inv.dirty) == 0 && inv.since.IsZero() {
		inv.since = time.Now()
	}
	if name != "" {
		inv.dirty[name] = true
	}
	select {
	case inv.changed <- struct{}{}:
	default:
	}
}

// pending is how long the oldest change has waited.
func (inv *inventory) pending(now time.Time) time.Duration {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if inv.since.IsZero() {
		return 0
	}
	return now.Sub(inv.since)
}

// self is this node's object, nil while it is not there.
func (inv *inventory) self(node string) *corev1.Node {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	return inv.nodes[node]
}

// update brings all up to date with every change since the last call, and tells whether there was one.
func (inv *inventory) update(all map[string]*compiled, cfg Config) bool {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if !inv.allDirty && len(inv.dirty) == 0 {
		inv.since = time.Time{}
		return false
	}
	look := inv.dirty
	if inv.allDirty {
		for svc := range inv.services {
			look[svc] = true
		}
		for pod := range inv.pods {
			look[pod] = true
		}
	}
	n := inv.view(cfg)
	for name := range look {
		if c := inv.compile(name, n); c != nil {
			all[name] = c
		} else {
			delete(all, name)
		}
	}
	inv.dirty, inv.allDirty, inv.since = map[string]bool{}, false, time.Time{}
	return true
}

// compile compiles a service or pod, nil when it is gone; mu is held.
func (inv *inventory) compile(name string, n *node) *compiled {
	if pod := inv.pods[name]; pod != nil {
		fronts, left := compilePod(pod, n)
		return &compiled{pod, fronts, left}
	}
	if svc := inv.services[name]; svc != nil {
		return &compiled{obj: svc, fronts: compile(svc, slices.Collect(maps.Values(inv.slices[name])), n)}
	}
	return nil
}

// view is what compiling needs to know; mu is held.
func (inv *inventory) view(cfg Config) *node {
	n := &node{
		name: cfg.NodeName, addrs: cfg.NodeIPs, clusterCIDR: cfg.ClusterCIDR, nodePorts: cfg.NodePorts,
		externalIPs: cfg.ExternalIPs, gateways: map[netip.Addr]bool{}, local: onThisHost,
	}
	if self := inv.nodes[cfg.NodeName]; self != nil {
		n.zone = self.Labels[corev1.LabelTopologyZone]
		if len(n.addrs) == 0 {
			n.addrs = internalIPs(self)
		}
	}
	for _, other := range inv.nodes {
		if p, err := netip.ParsePrefix(other.Spec.PodCIDR); err == nil && bridge.Check(p) == nil {
			n.gateways[bridge.Gateway(p)] = true
		}
	}
	return n
}
