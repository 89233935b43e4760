package registry

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"gantry/registry/quarantine"
	"gantry/registry/store"
	"gantry/schema"
)

// caches are the caches of the kinds that are served: one a kind, whatever the number of its versions. They follow the
// registry's Kinds: a cache is always one of the kinds that are served at that moment.
type caches struct {
	kinds *schema.Kinds
	make  func(k *schema.Kind) *cache
	ended func() // called when a cache has ended

	mu      sync.Mutex // held to replace current
	current atomic.Pointer[cacheSet]
}

// cacheSet are the caches of a Set; read-only.
type cacheSet struct {
	of     *schema.Set
	byKind map[*schema.Kind]*cache
}

func newCaches(kinds *schema.Kinds, make func(k *schema.Kind) *cache, ended func()) *caches {
	c := &caches{kinds: kinds, make: make, ended: ended}
	c.current.Store(&cacheSet{of: schema.NewSet()})
	return c
}

// of is the cache of a kind; nil: it is not served, or not any more.
func (c *caches) of(k *schema.Kind) *cache { return c.all()[k] }

// all are the caches of the kinds that are served now; read-only.
func (c *caches) all() map[*schema.Kind]*cache {
	if s := c.current.Load(); s.of == c.kinds.Set() {
		return s.byKind
	}
	return c.update()
}

// update ends the caches of kinds that are not served any more, and makes those of new ones.
func (c *caches) update() map[*schema.Kind]*cache {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, now := c.current.Load(), c.kinds.Set()
	if old.of == now {
		return old.byKind
	}
	for k, cache := range old.byKind {
		if !now.Has(k) {
			cache.end()
			c.ended()
		}
	}
	next := &cacheSet{of: now, byKind: make(map[*schema.Kind]*cache, len(now.All))}
	for _, k := range now.All {
		if next.byKind[k] = old.byKind[k]; next.byKind[k] == nil {
			next.byKind[k] = c.make(k)
		}
	}
	c.current.Store(next)
	return next.byKind
}

// follow makes and ends caches as kinds come and go, until ctx is done.
func (c *caches) follow(ctx context.Context) {
	_ = c.kinds.Follow(ctx, func(*schema.Set) { c.update() }) // its only error is ctx's
}

// starts are the caches that are to be started. use adds to it and never waits; Run takes from it.
type starts struct {
	wake chan struct{} // has a token when there is something

	mu    sync.Mutex // guards queue
	queue []start
}

// start is a part of a cache that is to run.
type start struct {
	cache *cache
	run   func(context.Context) error
}

func newStarts() *starts { return &starts{wake: make(chan struct{}, 1)} }

func (s *starts) add(c *cache, run func(context.Context) error) {
	s.mu.Lock()
	s.queue = append(s.queue, start{c, run})
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *starts) take() []start {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.queue
	s.queue = nil
	return queue
}

// run starts what is added, until ctx is done.
func (s *starts) run(ctx context.Context, g *errgroup.Group) error {
	for {
		select {
		case <-s.wake:
		case <-ctx.Done():
			return nil
		}
		for _, next := range s.take() {
			ctx := next.cache.lifetime(ctx)
			g.Go(func() error { return next.run(ctx) })
		}
	}
}

// lifetime is ctx until the kind of the cache is not served any more.
func (c *cache) lifetime(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stops = append(c.stops, cancel); isClosed(c.removed) {
		cancel()
	}
	return ctx
}

// end ends the cache, as its kind is not served any more. Its readers and watchers get NotFound.
func (c *cache) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.removed)
	for _, stop := range c.stops {
		stop()
	}
	if c.gauge != nil {
		storedObjects.DeleteLabelValues(c.kind.GR().String())
	}
	c.bad.End()
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// notServed is the error about a kind that is not served, or not any more.
func notServed(k *schema.Kind) error {
	return &Error{
		Kind: NotFound, Group: k.Group, Resource: k.Plural, KindName: k.Kind,
		Reason: "the server could not find the requested resource",
	}
}

// cache is the cache of k.
func (r *Registry) cache(k *schema.Kind) (*cache, error) {
	if c := r.reads.caches.of(k); c != nil {
		return c, nil
	}
	return nil, r.notServed(k)
}

// checkServed is the error of a write of a kind that is not served.
func (r *Registry) checkServed(k *schema.Kind) error {
	if r.kinds.Set().Has(k) {
		return nil
	}
	return r.notServed(k)
}

// notServed is the error of a request for a kind that is not served, or was replaced by another definition of the same resource.
func (r *Registry) notServed(k *schema.Kind) error {
	if r.kinds.Set().Resource(k.Group, k.Plural) == nil {
		return notServed(k)
	}
	e := newError(k, "", Replaced, "the definition of %s has just changed, please try again", k.GR())
	e.RetryAfter = time.Second
	return e
}

// newRecorder returns the recorder of values under quarantine of this process.
func (r *Registry) newRecorder() *quarantine.Recorder {
	check := func(k *schema.Kind, relKey string, kv *store.KV) error {
		_, err := itemAt(k, relKey, kv, false)
		return err
	}
	var onBad func(k *schema.Kind, relKey string, err error)
	if r.cfg.OnBad != nil {
		onBad = func(k *schema.Kind, relKey string, err error) {
			namespace, name, _ := splitKey(k, relKey)
			r.cfg.OnBad(k, namespace, name, err)
		}
	}
	return quarantine.NewRecorder(r.store, r.cfg.Quarantine, check, onBad)
}

func (r *Registry) newQuarantine(k *schema.Kind) *quarantine.Set {
	return quarantine.NewSet(k, r.prefix(k), r.reads.recorder, r.cfg.Log, r.cfg.Node == "")
}
