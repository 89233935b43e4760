package proxy

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"gantry/agents/internal/bridge"
	"gantry/agents/internal/loadbalancer"
	"gantry/registry"
	"gantry/registry/safely"
)

// follow keeps the tracker up to date until ctx is done.
func (tracker *changeTracker) follow(ctx context.Context, cfg Config) error {
	r := cfg.Registry
	g, ctx := safely.WithContext(ctx)
	g.Go(func() error { return registry.For[*corev1.Service](r).Follow(ctx, tracker.service) })
	g.Go(func() error { return registry.For[*discoveryv1.EndpointSlice](r).Follow(ctx, tracker.slice) })
	g.Go(func() error { return registry.For[*corev1.Node](r).Follow(ctx, tracker.node) })
	if cfg.Pods != nil {
		g.Go(func() error { return registry.For[*corev1.Pod](cfg.Pods).Follow(ctx, tracker.pod) })
	}
	return g.Wait()
}

// waitForSync waits until the tracker has every object of the registries' caches: programming a part of them would remove
// working services. It returns an error only when ctx is done.
func (tracker *changeTracker) waitForSync(ctx context.Context, cfg Config) error {
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		ok, err := tracker.hasCluster(ctx, cfg.Registry)
		if ok && err == nil && cfg.Pods != nil {
			ok, err = tracker.hasPods(ctx, cfg.Pods)
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

func (tracker *changeTracker) hasCluster(ctx context.Context, r *registry.Registry) (bool, error) {
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
	tracker.mu.Lock()
	defer tracker.mu.Unlock()
	for _, s := range svcs {
		if tracker.services[name(s)] == nil {
			return false, nil
		}
	}
	for _, e := range eps {
		if svc := serviceOf(e); svc != "" && tracker.slices[svc][e.Name] == nil {
			return false, nil
		}
	}
	for _, n := range nodes {
		if tracker.nodes[n.Name] == nil {
			return false, nil
		}
	}
	return true, nil
}

func (tracker *changeTracker) hasPods(ctx context.Context, r *registry.Registry) (bool, error) {
	pods, err := registry.For[*corev1.Pod](r).CachedList(ctx, "", "")
	if err != nil {
		return false, err
	}
	tracker.mu.Lock()
	defer tracker.mu.Unlock()
	return !slices.ContainsFunc(pods, func(p *corev1.Pod) bool {
		return len(hostPorts(p)) > 0 && tracker.pods[podName(p)] == nil
	}), nil
}

// serviceOf is the service a slice belongs to, "namespace/name", or "".
func serviceOf(e *discoveryv1.EndpointSlice) string {
	if e == nil || e.Labels[discoveryv1.LabelServiceName] == "" {
		return ""
	}
	return e.Namespace + "/" + e.Labels[discoveryv1.LabelServiceName]
}

func (tracker *changeTracker) service(old, current *corev1.Service) {
	tracker.mu.Lock()
	defer tracker.mu.Unlock()
	if current == nil {
		delete(tracker.services, name(old))
		tracker.balancersChanged(old)
		tracker.markDirty(name(old))
		return
	}
	tracker.services[name(current)] = current
	tracker.balancersChanged(old, current)
	tracker.markDirty(name(current))
}

func (tracker *changeTracker) slice(old, current *discoveryv1.EndpointSlice) {
	tracker.mu.Lock()
	defer tracker.mu.Unlock()
	if was := serviceOf(old); was != "" && was != serviceOf(current) {
		delete(tracker.slices[was], old.Name)
		if len(tracker.slices[was]) == 0 {
			delete(tracker.slices, was)
		}
		tracker.markDirty(was)
		tracker.balancersChanged(tracker.services[was])
	}
	svc := serviceOf(current)
	if svc == "" {
		return
	}
	if tracker.slices[svc] == nil {
		tracker.slices[svc] = map[string]*discoveryv1.EndpointSlice{}
	}
	tracker.slices[svc][current.Name] = current
	tracker.balancersChanged(tracker.services[svc])
	tracker.markDirty(svc)
}

// node stores a node. Everything is compiled again when a field that compiling reads has changed; heartbeats are ignored.
func (tracker *changeTracker) node(old, current *corev1.Node) {
	tracker.mu.Lock()
	defer tracker.mu.Unlock()
	if old == nil || current == nil || loadbalancer.TakesTraffic(old) != loadbalancer.TakesTraffic(current) ||
		loadbalancer.IsExcluded(old) != loadbalancer.IsExcluded(current) || !slices.Equal(internalIPs(old), internalIPs(current)) {
		signal(tracker.balancers)
	}
	if current == nil {
		delete(tracker.nodes, old.Name)
		tracker.allDirty = true
	} else {
		was := tracker.nodes[current.Name]
		tracker.nodes[current.Name] = current
		if was != nil && slices.Equal(bridge.PodCIDRs(was), bridge.PodCIDRs(current)) && maps.Equal(was.Labels, current.Labels) && slices.Equal(internalIPs(was), internalIPs(current)) {
			return
		}
		tracker.allDirty = true
	}
	tracker.markDirty("")
}

// pod stores a pod of this node that has host ports, and ignores changes that do not concern them.
func (tracker *changeTracker) pod(old, current *corev1.Pod) {
	tracker.mu.Lock()
	defer tracker.mu.Unlock()
	if current == nil || len(hostPorts(current)) == 0 {
		name := podName(cmp.Or(current, old))
		if tracker.pods[name] != nil {
			delete(tracker.pods, name)
			tracker.markDirty(name)
		}
		return
	}
	name := podName(current)
	was := tracker.pods[name]
	tracker.pods[name] = current
	if was != nil && was.UID == current.UID && slices.Equal(podAddresses(was), podAddresses(current)) && slices.Equal(hostPorts(was), hostPorts(current)) {
		return
	}
	tracker.markDirty(name)
}
