package registry

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"gantry/registry/index"
	"gantry/registry/quarantine"
	"gantry/registry/safely"
	"gantry/registry/store"
	"gantry/schema"
)

// cache holds every object of a kind as final bytes, with its recent history. It is fed by one watch of etcd,
// which starts at the first use.
type cache struct {
	kind          *schema.Kind
	prefix        string
	store         store.Store
	reads         *reads
	log           *slog.Logger
	bad           *quarantine.Set
	written       func(key string) *Item // the last result of this process at a key, where it is remembered
	forgetWritten func()                 // drops all of those

	backfill *backfill

	asked   atomic.Bool   // it is to be started
	removal removalHook   // called for what is removed
	removed chan struct{} // closed when the kind is not served any more
	decoded atomic.Bool   // this process reads decoded objects: keep them when they are decoded

	mu         sync.RWMutex // guards all below
	filled     bool
	stale      bool   // list again before going on
	rewound    bool   // etcd was restored, with another history: a revision may be another state than the cached one
	lastChange change // the last change seen, which etcd's history must have; rev 0: none
	syncErr    error  // why it is not up to date; nil: it is
	rev        int64  // every change up to it is applied
	last       int64  // the revision of the last change of the state
	view       index.View[Item]
	ring       ring
	gauge      prometheus.Gauge
	advanced   chan struct{} // closed and replaced when rev, filled or syncErr changes
	changed    chan struct{} // closed and replaced when the ring grows
	pages      []page
	cancel     context.CancelFunc   // ends the open watch; nil: there was none yet, or it is ended
	opened     time.Time            // the watch
	stops      []context.CancelFunc // end what runs
	notServed  func() error         // the error of a read after removed
}

func newCache(r *Registry, k *schema.Kind) *cache {
	c := &cache{
		kind: k, prefix: r.prefix(k), store: r.store, reads: r.reads,
		log: r.cfg.Log.With("agent", r.cfg.Agent, "kind", k.Kind), bad: r.newQuarantine(k), written: r.results.get, forgetWritten: r.forgetWritten,
		view: newView(), ring: ring{cursors: map[*cursor]struct{}{}, limit: ringEntries},
		advanced: make(chan struct{}), changed: make(chan struct{}), removed: make(chan struct{}),
	}
	c.notServed = func() error { return r.notServed(k) }
	c.backfill = newBackfill(c)
	if r.cfg.Node == "" {
		c.gauge = storedObjects.WithLabelValues(k.GR().String())
	}
	return c
}

// count publishes how many objects there are; c.mu is held.
func (c *cache) count() {
	if c.gauge != nil {
		c.gauge.Set(float64(c.view.Len()))
	}
}

// start makes the cache start, if it has not.
func (c *cache) start() {
	if !c.asked.Load() && c.asked.CompareAndSwap(false, true) {
		c.reads.starts.add(c, c.run)
	}
}

// ready returns why a cache that is in use cannot serve; nil: it can.
func (c *cache) ready() error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	switch {
	case !c.asked.Load() || c.filled && c.syncErr == nil:
		return nil
	case c.syncErr != nil:
		return c.syncErr
	}
	return errors.New("it is being filled")
}

// The pause before a lost watch is opened again.
const (
	firstRewatch = 20 * time.Millisecond
	lastRewatch  = 2 * time.Second
)

// run keeps the cache until ctx is done.
func (c *cache) run(ctx context.Context) error {
	pause := firstRewatch
	for {
		before := c.revision()
		err := safely.Call(func() error { return c.stream(ctx) })
		if ctx.Err() != nil {
			return nil
		}
		if c.revision() > before || errors.Is(err, Expired) {
			pause = firstRewatch // it made progress
		}
		c.setSyncError(err)
		c.log.Warn("watch of etcd lost", "after", pause, "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
		pause = min(2*pause, lastRewatch)
	}
}

// stream brings the cache up to date and applies changes until the watch ends. A cut watch goes on after the last
// change seen; where that is not possible (never filled, compacted, a store that was restored to an earlier state) all is listed again.
func (c *cache) stream(ctx context.Context) error {
	c.mu.RLock()
	from, list := c.rev, !c.filled || c.stale
	c.mu.RUnlock()
	if !list {
		now, err := c.store.Revision(ctx)
		if err != nil {
			return err
		}
		if list = now < from || !c.historyMatches(ctx); list {
			c.mu.Lock()
			c.discardHistory()
			c.mu.Unlock()
		}
	}
	if list {
		var err error
		if from, err = c.relist(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.setWatch(cancel)
	for b := range c.store.Watch(ctx, c.prefix, store.RangeEnd(c.prefix), from+1, false) {
		if errors.Is(b.Err, Expired) {
			c.log.Info("history of etcd compacted, listing again", "rv", c.revision())
			c.markStale()
			return b.Err
		}
		if b.Err != nil {
			return b.Err
		}
		c.apply(ctx, b)
	}
	return errors.New("the watch ended")
}

func (c *cache) revision() int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.rev
}

// setWatch stores that a watch is open, and how to end it.
func (c *cache) setWatch(cancel context.CancelFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.syncErr, c.cancel, c.opened = nil, cancel, time.Now()
	if c.stale { // interrupted since it was listed
		cancel()
	}
	c.notify()
}

// interrupt makes the cache list again: etcd is at rev, which is earlier than the cache was before, as after the
// restoration of a backup.
func (c *cache) interrupt(rev int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stale || !c.filled || c.rev <= rev {
		return
	}
	c.discardHistory()
}

// discardHistory makes the cache list everything again and reuse none of its items. c.mu is held.
func (c *cache) discardHistory() {
	c.log.Warn("etcd was restored to an earlier state, listing again", "rv", c.rev)
	c.stale, c.rewound, c.lastChange = true, true, change{}
	c.forgetWritten()
	c.backfill.reset()
	if c.cancel != nil {
		c.cancel()
	}
}

// historyMatches tells whether etcd's history has the last change that was seen here; true also where etcd has compacted it. A store that
// was restored to an earlier state may have passed the revisions seen here since, with other changes.
func (c *cache) historyMatches(ctx context.Context) bool {
	c.mu.RLock()
	seen := c.lastChange
	c.mu.RUnlock()
	if seen.rev == 0 {
		return true
	}
	kv, _, err := c.store.Get(ctx, c.prefix+seen.relKey, seen.rev)
	switch {
	case err != nil:
		return true // compacted, or etcd does not answer
	case seen.item == nil || kv == nil:
		return seen.item == nil && kv == nil
	}
	it, err := itemAt(c.kind, seen.relKey, kv, false)
	return err == nil && it.Revision == seen.item.Revision && it.uid == seen.item.uid
}

// markStale makes the next stream list again. What is cached is still served to reads that do not ask for more.
func (c *cache) markStale() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stale = true
}

func (c *cache) setSyncError(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.syncErr = err
	c.notify()
}

// notify wakes the readers that wait for a revision; c.mu is held.
func (c *cache) notify() {
	close(c.advanced)
	c.advanced = make(chan struct{})
}

// apply applies a batch of changes.
func (c *cache) apply(ctx context.Context, b store.WatchBatch) {
	changes := make([]change, 0, len(b.Events))
	for _, e := range b.Events {
		changes = append(changes, c.read(ctx, e))
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ch := range changes {
		if ch.rev > c.rev {
			c.step(ch, now)
		}
	}
	if b.Revision > c.rev {
		c.rev = b.Revision
	}
	c.notify()
	if len(changes) > 0 {
		c.count()
		c.ring.trim(now)
		close(c.changed)
		c.changed = make(chan struct{})
	}
}

// change is a decoded change. Where item is nil, there is nothing to serve at relKey from rev on.
type change struct {
	relKey  string
	rev     int64
	item    *Item
	deleted bool // the key was deleted at this revision
}

// read decodes an event outside of the lock.
func (c *cache) read(ctx context.Context, e store.Event) change {
	relKey := strings.TrimPrefix(e.KV.Key, c.prefix)
	ch := change{relKey: relKey, rev: e.KV.ModRevision}
	if e.Delete {
		c.bad.Clear(relKey)
		ch.deleted = true
		return ch
	}
	ch.item = c.decode(relKey, e.KV)
	return ch
}

// decode makes an item; nil: the value cannot be read and is under quarantine.
func (c *cache) decode(relKey string, kv *store.KV) *Item {
	it, err := c.final(relKey, kv)
	if err != nil {
		c.bad.Put(relKey, kv, c.goodRevision(relKey), err)
		return nil
	}
	c.bad.Clear(relKey)
	return it
}

// final makes an item, or uses the one that this process wrote, which is in its final form. Where decoded objects are in use it is decoded
// now, so that no reader waits for it.
func (c *cache) final(relKey string, kv *store.KV) (*Item, error) {
	keep := c.decoded.Load()
	known := c.written(kv.Key)
	if known == nil || known.Revision != kv.ModRevision || known.Kind != c.kind {
		return itemAt(c.kind, relKey, kv, keep)
	}
	if keep {
		if _, err := known.object(); err != nil {
			return nil, err
		}
	}
	return known, nil
}

// dropExpired drops history and states for paging that have expired.
func (c *cache) dropExpired() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.ring.trim(now)
	c.dropPages(0)
	c.backfill.dropUnused(now)
}

// goodRevision is that of what is served at relKey; 0: nothing.
func (c *cache) goodRevision(relKey string) int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if it := c.view.Get(relKey); it != nil {
		return it.Revision
	}
	return 0
}

// step applies one change to the state and the history; c.mu is held.
func (c *cache) step(ch change, now time.Time) {
	old := c.view.Set(ch.relKey, ch.item)
	c.last = ch.rev
	if ch.item != nil || ch.deleted {
		c.lastChange = ch
	}
	switch {
	case ch.item != nil:
		c.ring.add(entry{rev: ch.rev, item: ch.item, prev: old, leftState: new(atomic.Pointer[Item])}, now)
	case old != nil:
		c.removal.call(old)
		c.ring.add(entry{rev: ch.rev, item: old.atRevision(ch.rev), prev: old, gone: true}, now)
	}
}

var storedObjects = promauto.NewGaugeVec(prometheus.GaugeOpts{
	Name: "apiserver_storage_objects",
	Help: "Objects in the cache, by resource.",
}, []string{"resource"})
