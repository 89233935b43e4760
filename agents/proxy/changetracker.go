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
	"gantry/agents/internal/nft"
)

// changeTracker holds the watched objects (services, their slices, nodes, and pods with host ports) and the names of the services
// and pods to compile again.
type changeTracker struct {
	mu       sync.Mutex // guards everything below
	services map[string]*corev1.Service
	slices   map[string]map[string]*discoveryv1.EndpointSlice // by service, then by their own name
	nodes    map[string]*corev1.Node
	pods     map[string]*corev1.Pod // those with host ports, by podName
	dirty    map[string]bool
	allDirty bool
	since    time.Time     // time of the oldest change that update has not taken
	changed  chan struct{} // has a message while something is dirty
	// balancers has a message after a change of what announces load balancer addresses.
	balancers chan struct{}
}

func newChangeTracker() *changeTracker {
	return &changeTracker{
		services: map[string]*corev1.Service{}, slices: map[string]map[string]*discoveryv1.EndpointSlice{},
		nodes: map[string]*corev1.Node{}, pods: map[string]*corev1.Pod{}, dirty: map[string]bool{}, changed: make(chan struct{}, 1), balancers: make(chan struct{}, 1),
	}
}

// markPodsDirty makes the next update compile every pod again.
func (tracker *changeTracker) markPodsDirty() {
	tracker.mu.Lock()
	defer tracker.mu.Unlock()
	for name := range tracker.pods {
		tracker.markDirty(name)
	}
}

// markDirty makes the next update compile a service or pod again; "" only wakes the loop. mu is held.
func (tracker *changeTracker) markDirty(name string) {
	if len(tracker.dirty) == 0 && tracker.since.IsZero() {
		tracker.since = time.Now()
	}
	if name != "" {
		tracker.dirty[name] = true
	}
	signal(tracker.changed)
}

// pending returns how long the oldest change has waited for update.
func (tracker *changeTracker) pending(now time.Time) time.Duration {
	tracker.mu.Lock()
	defer tracker.mu.Unlock()
	if tracker.since.IsZero() {
		return 0
	}
	return now.Sub(tracker.since)
}

// self returns this node's object, nil while there is none.
func (tracker *changeTracker) self(node string) *corev1.Node {
	tracker.mu.Lock()
	defer tracker.mu.Unlock()
	return tracker.nodes[node]
}

// update compiles into all what has changed since the last call, and returns the names of what may have.
func (tracker *changeTracker) update(all map[string]*compiledObject, cfg Config) map[string]bool {
	tracker.mu.Lock()
	defer tracker.mu.Unlock()
	if !tracker.allDirty && len(tracker.dirty) == 0 {
		tracker.since = time.Time{}
		return nil
	}
	dirty := tracker.dirty
	if tracker.allDirty {
		for svc := range tracker.services {
			dirty[svc] = true
		}
		for pod := range tracker.pods {
			dirty[pod] = true
		}
	}
	families := tracker.nodeInfos(cfg)
	for name := range dirty {
		if c := tracker.compile(name, families); c != nil {
			all[name] = c
		} else {
			delete(all, name)
		}
	}
	tracker.dirty, tracker.allDirty, tracker.since = map[string]bool{}, false, time.Time{}
	return dirty
}

// compile compiles a service or pod in each family; nil when it does not exist any more. mu is held.
func (tracker *changeTracker) compile(name string, families []*nodeInfo) *compiledObject {
	if pod := tracker.pods[name]; pod != nil {
		c := &compiledObject{obj: pod}
		for _, n := range families {
			frontends, rejected := compilePod(pod, n)
			c.frontends = append(c.frontends, frontends...)
			for _, r := range rejected {
				if !slices.Contains(c.rejected, r) {
					c.rejected = append(c.rejected, r)
				}
			}
		}
		return c
	}
	if svc := tracker.services[name]; svc != nil {
		eps := slices.Collect(maps.Values(tracker.slices[name]))
		c := &compiledObject{obj: svc}
		for _, n := range families {
			c.frontends = append(c.frontends, compileService(svc, eps, n)...)
			if check, ok := healthCheckOf(svc, eps, n); ok && (c.health == nil || c.health.localEndpoints < check.localEndpoints) {
				c.health = &check
			}
		}
		return c
	}
	return nil
}

// nodeInfos returns what compiling needs of the node in each family. mu is held.
func (tracker *changeTracker) nodeInfos(cfg Config) (families []*nodeInfo) {
	addrs, zone, gateways := cfg.NodeIPs, "", map[netip.Addr]bool{}
	if self := tracker.nodes[cfg.NodeName]; self != nil {
		zone = self.Labels[corev1.LabelTopologyZone]
		if len(addrs) == 0 {
			addrs = internalIPs(self)
		}
	}
	for _, n := range tracker.nodes {
		for _, text := range bridge.PodCIDRs(n) {
			if p, err := netip.ParsePrefix(text); err == nil && bridge.Check(p) == nil {
				gateways[bridge.Gateway(p)] = true
			}
		}
	}
	for _, p := range cfg.ClusterCIDRs {
		n := &nodeInfo{
			name: cfg.NodeName, zone: zone, family: nft.FamilyOf(p.Addr()), clusterCIDR: p, dual: len(cfg.ClusterCIDRs) > 1,
			nodePorts: cfg.NodePorts, externalIPs: cfg.ExternalIPs, gateways: gateways, isLocal: isHostAddr,
		}
		for _, a := range addrs {
			if nft.FamilyOf(a) == n.family {
				n.addrs = append(n.addrs, a)
			}
		}
		families = append(families, n)
	}
	return families
}
