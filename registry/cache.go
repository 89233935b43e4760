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

	"gantry/registry/safely"
	"gantry/registry/store"
	"gantry/schema"
)

// cache holds every object of a kind as final bytes, with its recent history. It is fed by one watch of etcd,
// which starts at the first use.
type cache struct {
	kind   *schema.Kind
	prefix string
	store  store.Store
	reads  *reads
	log    *slog.Logger
	bad    *quarantine
	own    func(key string) *Item // what this process wrote there last, where that is remembered
	disown func()                 // forgets all of that

	backfill *backfill

	asked   atomic.Bool   // for a start
	removed chan struct{} // closed when the kind is not served any more
	decoded atomic.Bool // somebody here wants objects: keep them when they come in

	mu     sync.RWMutex // guards all below
	filled bool
	stale  bool   // list again before going on
	forked bool   // etcd's history is another one than before: what is known by its revision may be something else
	newest change // the last change known for sure, which etcd's history must have; rev 0: none
	fault  error  // why it is not up to date; nil: it is
	rev    int64  // every change up to it is in
	last   int64  // the revision of the last change of the state
	view   view
	ring   ring
	gauge  prometheus.Gauge
	moved  chan struct{} // closed and replaced when rev, filled or fault changes
	news   chan struct{} // closed and replaced when the ring grows
	pages  []page
	cancel context.CancelFunc // ends the open watch; nil: there was none yet, or it is ended
	opened time.Time          // the watch
	stop   context.CancelFunc // ends run; nil: it has not begun
}

func newCache(r *Registry, k *schema.Kind) *cache {
	c := &cache{
		kind: k, prefix: r.prefix(k), store: r.store, reads: r.reads,
		log: r.cfg.Log.With("agent", r.cfg.Agent, "kind", k.Kind), bad: newQuarantine(r, k), own: r.writes.get, disown: r.writes.forget,
		view: newView(), ring: ring{cursors: map[*cursor]struct{}{}, limit: ringEntries},
		moved: make(chan struct{}), news: make(chan struct{}), removed: make(chan struct{}),
	}
	c.backfill = newBackfill(c)
	if r.cfg.Node == "" {
		c.gauge = storedObjects.WithLabelValues(k.GR().String())
	}
	return c
}

// count publishes how many objects there are; c.mu is held.
func (c *cache) count() {
	if c.gauge != nil {
		c.gauge.Set(float64(len(c.view.byKey)))
	}
}

// use makes the cache start.
func (c *cache) use() {
	if !c.asked.Load() && c.asked.CompareAndSwap(false, true) {
		c.reads.starts.add(c)
	}
}

// ready is what keeps a cache that is in use from serving.
func (c *cache) ready() error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	switch {
	case !c.asked.Load() || c.filled && c.fault == nil:
		return nil
	case c.fault != nil:
		return c.fault
	}
	return errors.New("it is being filled")
}

// await waits until the cache has seen every change up to rev; 0: until it is filled.
func (c *cache) await(ctx context.Context, rev int64) error {
	c.use()
	var over func()
	for {
		c.mu.RLock()
		filled, here, moved := c.filled, c.filled && (rev == 0 || c.rev >= rev && !c.stale), c.moved
		c.mu.RUnlock()
		if here {
			return nil
		}
		if filled && over == nil {
			over = c.reads.progress.ask(c.prefix)
			defer over()
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return c.late(ctx)
		case <-c.removed:
			return notServed(c.kind)
		case <-c.reads.done:
			return errEnded
		}
	}
}

// late is the error of a read whose time is over, with what the cache waits for.
func (c *cache) late(ctx context.Context) error {
	c.mu.RLock()
	fault := c.fault
	c.mu.RUnlock()
	if fault != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &Error{Kind: Unavailable, Resource: c.kind.Plural, Group: c.kind.Group, Cause: fault}
	}
	return ctxError(ctx)
}

// consistent waits until the cache is as new as the store is now, and returns that revision.
func (c *cache) consistent(ctx context.Context) (int64, error) {
	c.use()
	before := c.revision()
	rev, err := c.reads.trips.revision(ctx, c.reads.done)
	if err != nil {
		return 0, err
	}
	if rev < before {
		c.interrupt(rev)
	}
	return rev, c.reach(ctx, rev)
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
			pause = firstRewatch // it got somewhere
		}
		c.setFault(err)
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
// change seen; where that is not possible (never filled, compacted, a store that went back in time) all is listed again.
func (c *cache) stream(ctx context.Context) error {
	c.mu.RLock()
	from, list := c.rev, !c.filled || c.stale
	c.mu.RUnlock()
	if !list {
		now, err := c.store.Revision(ctx)
		if err != nil {
			return err
		}
		if list = now < from || !c.remembers(ctx); list {
			c.mu.Lock()
			c.recant()
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
	c.follow(cancel)
	for b := range c.store.Watch(ctx, c.prefix, store.RangeEnd(c.prefix), from+1, false) {
		if errors.Is(b.Err, Expired) {
			c.log.Info("history of etcd compacted, listing again", "rv", c.revision())
			c.forget()
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

// follow notes that a watch is open, and how to end it.
func (c *cache) follow(cancel context.CancelFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault, c.cancel, c.opened = nil, cancel, time.Now()
	if c.stale { // interrupted since it was listed
		cancel()
	}
	c.move()
}

// interrupt makes the cache list again: etcd is at rev, which is earlier than the cache was before, as after the
// restoration of a backup.
func (c *cache) interrupt(rev int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stale || !c.filled || c.rev <= rev {
		return
	}
	c.recant()
}

// recant makes the cache list everything again, and believe nothing of what it has. c.mu is held.
func (c *cache) recant() {
	c.log.Warn("etcd went back in time, listing again", "rv", c.rev)
	c.stale, c.forked, c.newest = true, true, change{}
	c.disown()
	c.backfill.reset()
	if c.cancel != nil {
		c.cancel()
	}
}

// remembers tells whether etcd's history has the newest change that is known here; also where it cannot tell any more.
// A store that was put back to an earlier state may have come beyond the revisions seen here, with other changes.
func (c *cache) remembers(ctx context.Context) bool {
	c.mu.RLock()
	seen := c.newest
	c.mu.RUnlock()
	if seen.rev == 0 {
		return true
	}
	kv, _, err := c.store.Get(ctx, c.prefix+seen.rest, seen.rev)
	switch {
	case err != nil:
		return true // compacted, or away
	case seen.item == nil || kv == nil:
		return seen.item == nil && kv == nil
	}
	it, err := itemAt(c.kind, seen.rest, kv, false)
	return err == nil && it.Revision == seen.item.Revision && it.uid == seen.item.uid
}

// forget makes the next stream list again. What is cached is still served to reads that do not ask for more.
func (c *cache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stale = true
}

func (c *cache) setFault(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = err
	c.move()
}

// move wakes those who wait for a revision; c.mu is held.
func (c *cache) move() {
	close(c.moved)
	c.moved = make(chan struct{})
}

// apply brings a batch of changes in.
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
	c.move()
	if len(changes) > 0 {
		c.count()
		c.ring.trim(now)
		close(c.news)
		c.news = make(chan struct{})
	}
}

// change is a decoded change: item nil: there is nothing to serve at rest from rev on.
type change struct {
	rest    string
	rev     int64
	item    *Item
	deleted bool // as etcd says, at this revision
}

// read decodes an event outside of the lock.
func (c *cache) read(ctx context.Context, e store.Event) change {
	rest := strings.TrimPrefix(e.KV.Key, c.prefix)
	ch := change{rest: rest, rev: e.KV.ModRevision}
	if e.Delete {
		c.bad.clear(rest)
		ch.deleted = true
		return ch
	}
	ch.item = c.decode(rest, e.KV)
	return ch
}

// decode makes an item; nil: the value is bad and under quarantine now.
func (c *cache) decode(rest string, kv *store.KV) *Item {
	it, err := c.final(rest, kv)
	if err != nil {
		c.bad.put(rest, kv, c.goodRevision(rest), err)
		return nil
	}
	c.bad.clear(rest)
	return it
}

// final makes an item, or takes the one that this process wrote, which is in its final form already. Where objects are wanted it is
// decoded now, not by whoever wants it.
func (c *cache) final(rest string, kv *store.KV) (*Item, error) {
	keep := c.decoded.Load()
	own := c.own(kv.Key)
	if own == nil || own.Revision != kv.ModRevision || own.Kind != c.kind {
		return itemAt(c.kind, rest, kv, keep)
	}
	if keep {
		if _, err := own.object(); err != nil {
			return nil, err
		}
	}
	return own, nil
}

// tidy forgets history and states for paging whose time is over.
func (c *cache) tidy() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.ring.trim(now)
	c.dropPages(0)
	c.backfill.tidy(now)
}

// goodRevision is that of what is served at rest; 0: nothing.
func (c *cache) goodRevision(rest string) int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if it := c.view.byKey[rest]; it != nil {
		return it.Revision
	}
	return 0
}

// step brings one change into the state and the history; c.mu is held.
func (c *cache) step(ch change, now time.Time) {
	old := c.view.set(ch.rest, ch.item)
	c.last = ch.rev
	if ch.item != nil || ch.deleted {
		c.newest = ch
	}
	switch {
	case ch.item != nil:
		c.ring.add(entry{rev: ch.rev, item: ch.item, prev: old, left: new(atomic.Pointer[Item])}, now)
	case old != nil:
		c.ring.add(entry{rev: ch.rev, item: old.at(ch.rev), prev: old, gone: true}, now)
	}
}
