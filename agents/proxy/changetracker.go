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

// changeTracker is what the watches told: services, their slices, the nodes and the pods with host ports, and which services
// and pods to look at again.
type changeTracker struct {
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

func newChangeTracker() *changeTracker {
	return &changeTracker{
		services: map[string]*corev1.Service{}, slices: map[string]map[string]*discoveryv1.EndpointSlice{},
		nodes: map[string]*corev1.Node{}, pods: map[string]*corev1.Pod{}, dirty: map[string]bool{}, changed: make(chan struct{}, 1),
	}
}

// markPodsDirty makes every pod be looked at again.
func (tracker *changeTracker) markPodsDirty() {
	tracker.mu.Lock()
	defer tracker.mu.Unlock()
	for name := range tracker.pods {
		tracker.markDirty(name)
	}
}

// touch notes that a service or pod is to be looked at; mu is held.
func (tracker *changeTracker) markDirty(name string) {
	if len(tracker.dirty) == 0 && tracker.since.IsZero() {
		tracker.since = time.Now()
	}
	if name != "" {
		tracker.dirty[name] = true
	}
	select {
	case tracker.changed <- struct{}{}:
	default:
	}
}

// pending is how long the oldest change has waited.
func (tracker *changeTracker) pending(now time.Time) time.Duration {
	tracker.mu.Lock()
	defer tracker.mu.Unlock()
	if tracker.since.IsZero() {
		return 0
	}
	return now.Sub(tracker.since)
}

// self is this node's object, nil while it is not there.
func (tracker *changeTracker) self(node string) *corev1.Node {
	tracker.mu.Lock()
	defer tracker.mu.Unlock()
	return tracker.nodes[node]
}

// update brings all up to date with every change since the last call, and tells whether there was one.
func (tracker *changeTracker) update(all map[string]*compiledObject, cfg Config) bool {
	tracker.mu.Lock()
	defer tracker.mu.Unlock()
	if !tracker.allDirty && len(tracker.dirty) == 0 {
		tracker.since = time.Time{}
		return false
	}
	look := tracker.dirty
	if tracker.allDirty {
		for svc := range tracker.services {
			look[svc] = true
		}
		for pod := range tracker.pods {
			look[pod] = true
		}
	}
	n := tracker.nodeInfo(cfg)
	for name := range look {
		if c := tracker.compile(name, n); c != nil {
			all[name] = c
		} else {
			delete(all, name)
		}
	}
	tracker.dirty, tracker.allDirty, tracker.since = map[string]bool{}, false, time.Time{}
	return true
}

// compile compiles a service or pod, nil when it is gone; mu is held.
func (tracker *changeTracker) compile(name string, n *nodeInfo) *compiledObject {
	if pod := tracker.pods[name]; pod != nil {
		frontends, rejected := compilePod(pod, n)
		return &compiledObject{pod, frontends, rejected}
	}
	if svc := tracker.services[name]; svc != nil {
		return &compiledObject{obj: svc, frontends: compileService(svc, slices.Collect(maps.Values(tracker.slices[name])), n)}
	}
	return nil
}

// view is what compiling needs to know; mu is held.
func (tracker *changeTracker) nodeInfo(cfg Config) *nodeInfo {
	n := &nodeInfo{
		name: cfg.NodeName, addrs: cfg.NodeIPs, clusterCIDR: cfg.ClusterCIDR, nodePorts: cfg.NodePorts,
		externalIPs: cfg.ExternalIPs, gateways: map[netip.Addr]bool{}, isLocal: isHostAddr,
	}
	if self := tracker.nodes[cfg.NodeName]; self != nil {
		n.zone = self.Labels[corev1.LabelTopologyZone]
		if len(n.addrs) == 0 {
			n.addrs = internalIPs(self)
		}
	}
	for _, other := range tracker.nodes {
		if p, err := netip.ParsePrefix(other.Spec.PodCIDR); err == nil && bridge.Check(p) == nil {
			n.gateways[bridge.Gateway(p)] = true
		}
	}
	return n
}
