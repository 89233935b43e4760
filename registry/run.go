package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"gantry/registry/safely"
	"gantry/registry/store"
	"gantry/schema"
)

// Registry is the one way to read and write /registry. A leader's Registry (Lead) is a copy with a fenced store, so
// everything with a state is behind a pointer.
type Registry struct {
	cfg    Config // with its defaults filled in
	kinds  *schema.Kinds
	store  store.Store // what writes and reads of etcd go through
	reads  *reads
	rules  *versioned // store without a fence
	writes *writes
}

// reads is the read side: one cache a kind, and what they share.
type reads struct {
	caches   *caches
	starts   *starts
	done     chan struct{} // closed when Run has ended
	trips    *trips
	progress *progress
	recorder *recorder
	old      chan struct{} // a place for each page of history that is being read from etcd
	running  atomic.Bool
}

// New returns a Registry; it starts nothing.
func New(cfg Config) *Registry {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.NodePorts == [2]int{} {
		cfg.NodePorts = [2]int{30000, 32767}
	}
	r := &Registry{cfg: cfg, kinds: cfg.Kinds, writes: &writes{}}
	r.rules = &versioned{Store: cfg.Store, log: cfg.Log}
	r.store = r.rules
	r.reads = &reads{
		starts: newStarts(),
		done:   make(chan struct{}),
		old:    make(chan struct{}, oldLists),
	}
	r.reads.trips = newTrips(r.store)
	r.reads.progress = newProgress(r.store)
	r.reads.recorder = newRecorder(cfg, r.store)
	r.reads.caches = newCaches(cfg.Kinds, func(k *schema.Kind) *cache { return newCache(r, k) }, r.writes.forget)
	return r
}

// Run fills the caches that reads ask for and keeps them, until ctx is done. Reads wait for it. It is called once.
func (r *Registry) Run(ctx context.Context) error {
	if r.reads.running.Swap(true) {
		return errors.New("running a registry twice")
	}
	defer close(r.reads.done)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.reads.trips.run(ctx) })
	g.Go(func() error { return r.reads.progress.run(ctx) })
	g.Go(func() error {
		return safely.Keep(ctx, r.cfg.Log, "recording what is under quarantine", r.reads.recorder.run)
	})
	g.Go(func() error { return r.look(ctx) })
	g.Go(func() error { return r.reads.starts.run(ctx, g) })
	g.Go(func() error {
		r.reads.caches.follow(ctx)
		return nil
	})
	return g.Wait()
}

// Kinds are the kinds that are served, which may change.
func (r *Registry) Kinds() *schema.Kinds { return r.kinds }

// Ready returns what keeps this registry from serving: etcd away, a cache not yet filled.
func (r *Registry) Ready(ctx context.Context) error {
	if _, err := r.rules.look(ctx); err != nil {
		return fmt.Errorf("asking etcd: %w", err)
	}
	if e, ok := r.cfg.Store.(*store.Etcd); ok {
		if err := e.Full(ctx); err != nil {
			return err
		}
	}
	for k, c := range r.reads.caches.all() {
		if err := c.ready(); err != nil {
			return fmt.Errorf("filling the cache of %s: %w", k.Plural, err)
		}
	}
	return nil
}

// lookEvery is how often quiet caches learn how far they are, so that a lost watch can go on from there, and whether
// etcd went back in time.
const lookEvery = 20 * time.Second

// look checks etcd once at the start, until that succeeds, and then looks after the caches.
func (r *Registry) look(ctx context.Context) error {
	for pause := firstRewatch; ; pause = min(2*pause, lastRewatch) {
		err := r.greet(ctx)
		var old *store.OldVersionError
		if errors.As(err, &old) {
			return err
		}
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return nil
		}
		r.cfg.Log.Warn("etcd not reached", "agent", r.cfg.Agent, "after", pause, "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.refresh(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// greet checks etcd's version and the version of the rules.
func (r *Registry) greet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tripTimeout)
	defer cancel()
	if e, ok := r.cfg.Store.(*store.Etcd); ok {
		if err := e.CheckVersion(ctx, r.cfg.Node != ""); err != nil {
			return err
		}
	}
	if r.cfg.Quarantine {
		return r.rules.raise(ctx)
	}
	_, err := r.rules.look(ctx)
	if errors.Is(err, r.rules.standing()) {
		return nil
	}
	return err
}

// refresh asks every cache's watch for its progress and finds out whether etcd went back in time.
func (r *Registry) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, tripTimeout)
	defer cancel()
	seen := map[*cache]int64{}
	for _, c := range r.reads.caches.all() {
		if rev := c.revision(); rev > 0 {
			c.tidy()
			seen[c] = rev
		}
	}
	rev, err := r.store.Revision(ctx)
	if err != nil {
		return // the watches report it
	}
	for c, before := range seen {
		if rev < before {
			c.interrupt(rev)
		}
		_ = r.store.Progress(ctx, c.prefix)
	}
	if c := r.newest(); c != nil && !c.remembers(ctx) {
		for c := range seen {
			c.mu.Lock()
			c.recant()
			c.mu.Unlock()
		}
	}
}

// newest is the cache that knows the latest change of all; nil: none knows any.
func (r *Registry) newest() (found *cache) {
	latest := int64(0)
	for _, c := range r.reads.caches.all() {
		c.mu.RLock()
		if c.newest.rev > latest {
			found, latest = c, c.newest.rev
		}
		c.mu.RUnlock()
	}
	return found
}
