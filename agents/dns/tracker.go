package dns

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"gantry/agents/dns/records"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/discovery"
)

// tracker holds what is read of services and their slices, and compiles those that change into the zone.
type tracker struct {
	zone   *records.Zone
	synced atomic.Bool   // the zone has had the records of everything there is
	wake   chan struct{} // has a message while something is dirty

	mu       sync.Mutex // guards everything below
	services map[string]*records.Service
	slices   map[string]map[string]*records.Slice // by service, then by their own name
	dirty    map[string]bool                      // services to compile
	loaded   bool                                 // everything there is is in services and slices
}

func newTracker(zone *records.Zone) *tracker {
	return &tracker{
		zone: zone, wake: make(chan struct{}, 1),
		services: map[string]*records.Service{}, slices: map[string]map[string]*records.Slice{}, dirty: map[string]bool{},
	}
}

// follow keeps the tracker up to date until ctx is done.
func (t *tracker) follow(ctx context.Context, r *registry.Registry) error {
	return r.FollowAll(ctx, map[*schema.Kind]func(registry.Change){
		core.Service:            t.service,
		discovery.EndpointSlice: t.slice,
	}, func() { t.load(ctx, r) })
}

// load reads everything from the cache. A change after it is reported to service and slice. mu is held meanwhile, so that none that the
// cache has already is handled before.
func (t *tracker) load(ctx context.Context, r *registry.Registry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	services, err := registry.For[*corev1.Service](r).CachedList(ctx, "", "")
	if err != nil {
		return // ctx is done
	}
	eps, err := registry.For[*discoveryv1.EndpointSlice](r).CachedList(ctx, "", "")
	if err != nil {
		return
	}
	for _, s := range services {
		t.putService(s)
	}
	for _, e := range eps {
		t.putSlice(e)
	}
	t.loaded = true
	t.markDirty("")
}

func (t *tracker) service(c registry.Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.New == nil {
		name := c.Old.Namespace + "/" + c.Old.Name
		delete(t.services, name)
		t.markDirty(name)
		return
	}
	t.putService(c.New.Object().(*corev1.Service))
}

func (t *tracker) putService(svc *corev1.Service) {
	s := records.ReadService(svc)
	t.services[s.Owner()] = s
	t.markDirty(s.Owner())
}

func (t *tracker) slice(c registry.Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	was, is := "", ""
	if c.New != nil {
		is = serviceOf(c.New.Object().(*discoveryv1.EndpointSlice))
	}
	if c.Old != nil {
		was = serviceOf(c.Old.Object().(*discoveryv1.EndpointSlice))
	}
	if was != "" && was != is {
		delete(t.slices[was], c.Old.Name)
		if len(t.slices[was]) == 0 {
			delete(t.slices, was)
		}
		t.markDirty(was)
	}
	if is != "" {
		t.putSlice(c.New.Object().(*discoveryv1.EndpointSlice))
	}
}

func (t *tracker) putSlice(e *discoveryv1.EndpointSlice) {
	svc := serviceOf(e)
	if svc == "" {
		return
	}
	if t.slices[svc] == nil {
		t.slices[svc] = map[string]*records.Slice{}
	}
	t.slices[svc][e.Name] = records.ReadSlice(e)
	t.markDirty(svc)
}

// serviceOf is the service a slice belongs to, "namespace/name", or "".
func serviceOf(e *discoveryv1.EndpointSlice) string {
	if e.Labels[discoveryv1.LabelServiceName] == "" {
		return ""
	}
	return e.Namespace + "/" + e.Labels[discoveryv1.LabelServiceName]
}

// markDirty makes run compile a service again; "" only wakes it. mu is held.
func (t *tracker) markDirty(service string) {
	if service != "" {
		t.dirty[service] = true
	}
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// run compiles what is dirty until ctx is done. Changes that come meanwhile are compiled together.
func (t *tracker) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.wake:
		}
		for t.compileNext() {
		}
	}
}

// compileNext compiles the services that are dirty now, and returns whether there were any.
func (t *tracker) compileNext() bool {
	t.mu.Lock()
	dirty, loaded := t.dirty, t.loaded
	t.dirty = map[string]bool{}
	t.mu.Unlock()
	for name := range dirty {
		t.mu.Lock()
		svc, eps := t.services[name], slices.Collect(maps.Values(t.slices[name]))
		t.mu.Unlock()
		var names records.Names
		if svc != nil {
			names = t.zone.Compile(svc, eps)
		}
		t.zone.Set(name, names)
	}
	if loaded {
		t.synced.Store(true)
	}
	return len(dirty) > 0
}
