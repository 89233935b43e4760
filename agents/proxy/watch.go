package proxy

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"gantry/registry"
	"gantry/registry/safely"
)

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
