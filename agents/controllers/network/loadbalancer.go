package network

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"gantry/agents/controllers/controller"
	"gantry/agents/internal/addressrange"
	"gantry/agents/internal/loadbalancer"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/discovery"
)

// loadBalancer gives Services of type LoadBalancer their addresses. Its keys are those of Services. One worker at a time: two could
// give out one address twice.
type loadBalancer struct {
	*controller.Env
	ranges addressrange.Ranges
	// isCurrent: the cache of Services has shown everything that earlier leaders have written. It is the one worker's.
	isCurrent bool

	mu sync.Mutex // guards both
	// balanced holds the keys of all Services of type LoadBalancer.
	balanced map[string]bool
	// waiting holds the keys of those that did not get an address.
	waiting map[string]bool
}

// NewLoadBalancer gives Services of type LoadBalancer addresses of ranges; where there are none the nodes' own addresses.
func NewLoadBalancer(ranges addressrange.Ranges) func(*controller.Env) controller.Reconciler {
	return func(e *controller.Env) controller.Reconciler {
		c := &loadBalancer{Env: e, ranges: ranges, balanced: map[string]bool{}, waiting: map[string]bool{}}
		watches := []controller.Watch{{Kind: core.Service, Keys: c.onService}, {Kind: core.Node, Keys: c.onNode}}
		if len(ranges) == 0 {
			watches = append(watches, controller.Watch{Kind: discovery.EndpointSlice, Keys: c.onSlice})
		}
		return controller.Reconciler{Reconcile: c.reconcile, Watches: watches}
	}
}

func (c *loadBalancer) onService(old, current schema.Object) {
	was, _ := old.(*corev1.Service)
	now, _ := current.(*corev1.Service)
	key := controller.KeyOf(cmp.Or(now, was))
	c.mu.Lock()
	if now != nil && now.Spec.Type == corev1.ServiceTypeLoadBalancer {
		c.balanced[key] = true
	} else {
		delete(c.balanced, key)
		delete(c.waiting, key)
	}
	c.mu.Unlock()
	if now != nil && (now.Spec.Type == corev1.ServiceTypeLoadBalancer || slices.Contains(now.Finalizers, loadBalancerFinalizer)) {
		c.Enqueue(key, 0)
	}
	if was != nil && (now == nil || releases(was, now)) {
		c.enqueueAll(c.waiting)
	}
}

// releases returns whether an address or a port of was may be free now.
func releases(was, now *corev1.Service) bool {
	return !equality.Semantic.DeepEqual(was.Status.LoadBalancer, now.Status.LoadBalancer) || was.Spec.Type != now.Spec.Type ||
		!slices.Equal(was.Spec.Ports, now.Spec.Ports) || was.Spec.HealthCheckNodePort != now.Spec.HealthCheckNodePort ||
		!slices.Equal(was.Spec.ExternalIPs, now.Spec.ExternalIPs)
}

func (c *loadBalancer) onNode(old, current schema.Object) {
	was, _ := old.(*corev1.Node)
	now, _ := current.(*corev1.Node)
	if was == nil || now == nil || loadbalancer.TakesTraffic(was) != loadbalancer.TakesTraffic(now) || !slices.Equal(nodeAddresses(was), nodeAddresses(now)) {
		c.enqueueAll(c.balanced)
	}
}

func (c *loadBalancer) onSlice(old, current schema.Object) {
	for _, obj := range []schema.Object{old, current} {
		slice, _ := obj.(*discoveryv1.EndpointSlice)
		if slice == nil {
			continue
		}
		key := slice.Namespace + "/" + slice.Labels[discoveryv1.LabelServiceName]
		if key == gatewaysKey {
			c.enqueueAll(c.balanced)
			continue
		}
		c.mu.Lock()
		balanced := c.balanced[key]
		c.mu.Unlock()
		if balanced {
			c.Enqueue(key, 0)
		}
	}
}

// enqueueAll enqueues the keys of balanced or waiting.
func (c *loadBalancer) enqueueAll(keys map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range keys {
		c.Enqueue(key, 0)
	}
}

func (c *loadBalancer) setWaiting(key string, waits bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if waits && c.balanced[key] {
		c.waiting[key] = true
	} else {
		delete(c.waiting, key)
	}
}

func (c *loadBalancer) reconcile(ctx context.Context, key string) (time.Duration, error) {
	if !c.isCurrent { // an earlier leader may have given out an address that the cache does not show yet
		if _, err := c.Registry.List(ctx, core.Service, "", registry.ListOptions{Limit: 1}); err != nil {
			return 0, err
		}
		c.isCurrent = true
	}
	ns, name, _ := strings.Cut(key, "/")
	svc, err := registry.For[*corev1.Service](c.Registry).Cached(ctx, ns, name)
	if err != nil {
		return 0, ignoreNotFound(err)
	}
	c.setWaiting(key, true) // before the caches are read: what changes after that enqueues it again
	in := balancing{ranges: c.ranges}
	if in.services, err = registry.For[*corev1.Service](c.Registry).CachedList(ctx, "", ""); err != nil {
		return 0, err
	}
	if in.nodes, err = registry.For[*corev1.Node](c.Registry).CachedList(ctx, "", ""); err != nil {
		return 0, err
	}
	if len(c.ranges) == 0 {
		slices := registry.For[*discoveryv1.EndpointSlice](c.Registry)
		if in.endpoints, err = slices.CachedList(ctx, ns, discoveryv1.LabelServiceName+"="+name); err != nil {
			return 0, err
		}
		if in.gateways, err = slices.CachedList(ctx, "default", discoveryv1.LabelServiceName+"=kubernetes"); err != nil {
			return 0, err
		}
	}
	plan, waits := planLoadBalancer(svc, in, time.Now())
	c.setWaiting(key, waits)
	return 0, c.Execute(ctx, plan)
}

// gatewaysKey is that of the Service whose endpoints are the gateways.
const gatewaysKey = "default/kubernetes"

// nodeAddresses are a node's valid internal addresses.
func nodeAddresses(n *corev1.Node) (out []netip.Addr) {
	for _, a := range n.Status.Addresses {
		if ip, err := netip.ParseAddr(a.Address); err == nil && a.Type == corev1.NodeInternalIP {
			out = append(out, ip)
		}
	}
	return out
}
