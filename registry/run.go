package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"gantry/registry/admit"
	"gantry/registry/admit/plugins"
	"gantry/registry/election"
	"gantry/registry/quarantine"
	"gantry/registry/safely"
	"gantry/registry/store"
	"gantry/registry/writequeue"
	"gantry/schema"
	"gantry/schema/apply"
)

// Registry is the one way to read and write /registry. A leader's Registry (Lead) is a copy with a fenced store, so
// everything with a state is behind a pointer.
type Registry struct {
	cfg     Config // with its defaults filled in
	kinds   *schema.Kinds
	hooks   map[kschema.GroupResource]*hooks
	store   store.Store // for writes, and for reads of etcd
	reads   *reads
	guard   *store.VersionGuard // store without a fence
	results *results
	queues  *writequeue.Queues
	// admitters are the rules of admission, ruleKeys what is known of their keys.
	admitters admit.Rules
	ruleKeys  *ruleKeys
	types     *apply.Types               // by which objects are merged
	self      *authenticationv1.UserInfo // the user of writes whose context has none
}

// reads is the read side: one cache a kind, and what they share.
type reads struct {
	caches   *caches
	starts   *starts
	done     chan struct{} // closed when Run has ended
	index    *store.ReadIndex
	progress *store.ProgressRequests
	recorder *quarantine.Recorder
	old      chan struct{} // has an element for each list of history that is being read from etcd
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
	if cfg.Admission == nil {
		cfg.Admission = plugins.Default(cfg.Webhooks)
	}
	r := &Registry{
		cfg: cfg, kinds: cfg.Kinds, hooks: kindHooks, results: &results{}, queues: &writequeue.Queues{},
		admitters: cfg.Admission, ruleKeys: &ruleKeys{}, types: &apply.Types{}, self: selfOf(cfg),
	}
	r.guard = store.NewVersionGuard(cfg.Store, cfg.Log)
	r.store = r.guard
	r.reads = &reads{
		starts: newStarts(),
		done:   make(chan struct{}),
		old:    make(chan struct{}, historyLists),
	}
	r.reads.index = store.NewReadIndex(r.store)
	r.reads.progress = store.NewProgressRequests(r.store)
	r.reads.recorder = r.newRecorder()
	r.reads.caches = newCaches(cfg.Kinds, func(k *schema.Kind) *cache { return newCache(r, k) }, r.results.forget)
	return r
}

// Run fills the caches that reads ask for and keeps them, until ctx is done. Reads wait for it. It is called once.
func (r *Registry) Run(ctx context.Context) error {
	if r.reads.running.Swap(true) {
		return errors.New("running a registry twice")
	}
	defer close(r.reads.done)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.reads.index.Run(ctx) })
	g.Go(func() error { return r.reads.progress.Run(ctx) })
	g.Go(func() error {
		return safely.Keep(ctx, r.cfg.Log, "recording what is under quarantine", r.reads.recorder.Run)
	})
	g.Go(func() error { return r.maintain(ctx) })
	g.Go(func() error { return r.reads.starts.run(ctx, g) })
	g.Go(func() error {
		r.reads.caches.follow(ctx)
		return nil
	})
	return g.Wait()
}

// Kinds are the kinds that are served, which may change.
func (r *Registry) Kinds() *schema.Kinds { return r.kinds }

// Ready returns why this registry cannot serve: etcd does not answer, a cache is not yet filled.
func (r *Registry) Ready(ctx context.Context) error {
	if _, err := r.guard.Check(ctx); err != nil {
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

// refreshEvery is how often progress is requested for quiet caches, so that a lost watch can go on from there, and how often it is checked that
// etcd was not restored to an earlier state.
const refreshEvery = 20 * time.Second

// maintain checks etcd at the start, until that succeeds, and then refreshes the caches.
func (r *Registry) maintain(ctx context.Context) error {
	for pause := firstRewatch; ; pause = min(2*pause, lastRewatch) {
		err := r.checkEtcd(ctx)
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
	tick := time.NewTicker(refreshEvery)
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

// checkEtcd checks etcd's version and the version of the rules.
func (r *Registry) checkEtcd(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, store.ReadTimeout)
	defer cancel()
	if e, ok := r.cfg.Store.(*store.Etcd); ok {
		if err := e.CheckVersion(ctx, r.cfg.Node != ""); err != nil {
			return err
		}
	}
	if r.cfg.Quarantine {
		return r.guard.Raise(ctx)
	}
	_, err := r.guard.Check(ctx)
	if errors.Is(err, r.guard.Refused()) {
		return nil
	}
	return err
}

// refresh requests the progress of every cache's watch and checks that etcd was not restored to an earlier state.
func (r *Registry) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, store.ReadTimeout)
	defer cancel()
	seen := map[*cache]int64{}
	for _, c := range r.reads.caches.all() {
		if rev := c.revision(); rev > 0 {
			c.dropExpired()
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
	if c := r.latestCache(); c != nil && !c.historyMatches(ctx) {
		for c := range seen {
			c.mu.Lock()
			c.discardHistory()
			c.mu.Unlock()
		}
	}
}

// latestCache is the cache that has seen the latest change of all; nil: none has seen any.
func (r *Registry) latestCache() (found *cache) {
	latest := int64(0)
	for _, c := range r.reads.caches.all() {
		c.mu.RLock()
		if c.lastChange.rev > latest {
			found, latest = c, c.lastChange.rev
		}
		c.mu.RUnlock()
	}
	return found
}

// Lead campaigns for the election name and, while this process leads, runs lead with a Registry whose every write is fenced: a deposed leader's
// writes fail with Conflict. See election.Candidate.Lead.
func (r *Registry) Lead(ctx context.Context, name, id string, lead func(ctx context.Context, r *Registry) error) error {
	c := election.Candidate{Store: r.store, Name: name, ID: id, Log: r.cfg.Log.With("agent", r.cfg.Agent)}
	return c.Lead(ctx, func(ctx context.Context, fenced store.Store) error {
		leader := *r
		leader.cfg.Agent = name // the user of its writes
		leader.store = fenced
		return lead(ctx, &leader)
	})
}

// HasLeader tells whether a process leads the election name.
func (r *Registry) HasLeader(ctx context.Context, name string) (bool, error) {
	prefix := election.Prefix + name + "/"
	kvs, _, _, err := r.store.List(ctx, prefix, store.RangeEnd(prefix), 1, 0)
	return len(kvs) > 0, err
}
