package proxy

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"gantry/agents/internal/bridge"
	"gantry/registry"
	"gantry/registry/safely"
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

// follow keeps the inventory until ctx is done.
func (inv *inventory) follow(ctx context.Context, cfg Config) error {
	r := cfg.Registry
	g, ctx := safely.WithContext(ctx)
	g.Go(func() error { return registry.For[*corev1.Service](r).Follow(ctx, inv.service) })
	g.Go(func() error { return registry.For[*discoveryv1.EndpointSlice](r).Follow(ctx, inv.slice) })
	g.Go(func() error { return registry.For[*corev1.Node](r).Follow(ctx, inv.node) })
	if cfg.Pods != nil {
		g.Go(func() error { return registry.For[*corev1.Pod](cfg.Pods).Follow(ctx, inv.pod) })
	}
	return g.Wait()
}

// filled waits until the inventory has what the registries' caches have: until then programming it would take working
// services away. It returns early only when ctx ends.
func (inv *inventory) filled(ctx context.Context, cfg Config) error {
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		ok, err := inv.hasAll(ctx, cfg.Registry)
		if ok && err == nil && cfg.Pods != nil {
			ok, err = inv.hasPods(ctx, cfg.Pods)
		}
		if ok && err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

func (inv *inventory) hasAll(ctx context.Context, r *registry.Registry) (bool, error) {
	svcs, err := registry.For[*corev1.Service](r).CachedList(ctx, "", "")
	if err != nil {
		return false, err
	}
	eps, err := registry.For[*discoveryv1.EndpointSlice](r).CachedList(ctx, "", "")
	if err != nil {
		return false, err
	}
	nodes, err := registry.For[*corev1.Node](r).CachedList(ctx, "", "")
	if err != nil {
		return false, err
	}
	inv.mu.Lock()
	defer inv.mu.Unlock()
	for _, s := range svcs {
		if inv.services[name(s)] == nil {
			return false, nil
		}
	}
	for _, e := range eps {
		if svc := serviceOf(e); svc != "" && inv.slices[svc][e.Name] == nil {
			return false, nil
		}
	}
	for _, n := range nodes {
		if inv.nodes[n.Name] == nil {
			return false, nil
		}
	}
	return true, nil
}

func (inv *inventory) hasPods(ctx context.Context, r *registry.Registry) (bool, error) {
	pods, err := registry.For[*corev1.Pod](r).CachedList(ctx, "", "")
	if err != nil {
		return false, err
	}
	inv.mu.Lock()
	defer inv.mu.Unlock()
	return !slices.ContainsFunc(pods, func(p *corev1.Pod) bool {
		return len(hostPorts(p)) > 0 && inv.pods[podName(p)] == nil
	}), nil
}

// serviceOf is the service a slice belongs to, "namespace/name", or "".
func serviceOf(e *discoveryv1.EndpointSlice) string {
	if e == nil || e.Labels[discoveryv1.LabelServiceName] == "" {
		return ""
	}
	return e.Namespace + "/" + e.Labels[discoveryv1.LabelServiceName]
}

func (inv *inventory) service(old, current *corev1.Service) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if current == nil {
		delete(inv.services, name(old))
		inv.touch(name(old))
		return
	}
	inv.services[name(current)] = current
	inv.touch(name(current))
}

func (inv *inventory) slice(old, current *discoveryv1.EndpointSlice) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if was := serviceOf(old); was != "" && was != serviceOf(current) {
		delete(inv.slices[was], old.Name)
		if len(inv.slices[was]) == 0 {
			delete(inv.slices, was)
		}
		inv.touch(was)
	}
	svc := serviceOf(current)
	if svc == "" {
		return
	}
	if inv.slices[svc] == nil {
		inv.slices[svc] = map[string]*discoveryv1.EndpointSlice{}
	}
	inv.slices[svc][current.Name] = current
	inv.touch(svc)
}

// node notes a node; only what compiling looks at makes everything be looked at again, not its heartbeats.
func (inv *inventory) node(old, current *corev1.Node) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if current == nil {
		delete(inv.nodes, old.Name)
		inv.allDirty = true
	} else {
		was := inv.nodes[current.Name]
		inv.nodes[current.Name] = current
		if was != nil && was.Spec.PodCIDR == current.Spec.PodCIDR && maps.Equal(was.Labels, current.Labels) && slices.Equal(internalIPs(was), internalIPs(current)) {
			return
		}
		inv.allDirty = true
	}
	inv.touch("")
}

// pod notes a pod of this node; most have no host port, and most changes are of something else.
func (inv *inventory) pod(old, current *corev1.Pod) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if current == nil || len(hostPorts(current)) == 0 {
		name := podName(cmp.Or(current, old))
		if inv.pods[name] != nil {
			delete(inv.pods, name)
			inv.touch(name)
		}
		return
	}
	name := podName(current)
	was := inv.pods[name]
	inv.pods[name] = current
	if was != nil && was.UID == current.UID && was.Status.PodIP == current.Status.PodIP && slices.Equal(hostPorts(was), hostPorts(current)) {
		return
	}
	inv.touch(name)
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

func internalIPs(n *corev1.Node) []netip.Addr {
	var out []netip.Addr
	for _, a := range n.Status.Addresses {
		if ip, ok := unicast(a.Address); ok && a.Type == corev1.NodeInternalIP {
			out = append(out, ip)
		}
	}
	return out
}
