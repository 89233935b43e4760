package registry

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gantry/registry/safely"
	"gantry/registry/store"
	"gantry/schema"
)

// Follow calls f for every object there is (Old nil) and then for every change, in order, until ctx is done.
// It outlives compactions, reconnects and restarts of etcd: what was deleted meanwhile is reported as gone. f is called
// on one goroutine. A slow f delays no other: where it falls behind the history that the cache keeps, it gets
// the difference between the state that it knows and the current one, without the states between. It returns ctx's error; or NotFound,
// where the kind is not served or, once f was called for every object as gone, is not served any more.
func (r *Registry) Follow(ctx context.Context, k *schema.Kind, f func(Change)) error {
	return r.follow(ctx, k, f, func() {}, func() {})
}

// FollowKinds follows every kind that is served, as soon and as long as it is: makeFollower makes the function for a kind, which is
// called on a goroutine of the kind's own, as Follow's is. It calls started as FollowAll does, for the kinds that are served at the
// beginning. It returns only ctx's error.
func (r *Registry) FollowKinds(ctx context.Context, makeFollower func(k *schema.Kind) func(Change), started func()) error {
	var all sync.WaitGroup
	var mu sync.Mutex
	followed := map[*schema.Kind]bool{}
	first := true
	_ = r.kinds.Follow(ctx, func(now *schema.Set) {
		pinned := func() {}
		if first {
			pinned, first = countdown(len(now.All), started), false
		}
		mu.Lock()
		defer mu.Unlock()
		for _, k := range now.All {
			if followed[k] {
				continue
			}
			followed[k] = true
			all.Go(func() {
				pinned := sync.OnceFunc(pinned)
				for ended := false; !ended; {
					err := r.follow(ctx, k, makeFollower(k), pinned, func() {})
					mu.Lock()
					// Kinds.Follow tells of no change where a kind was removed and added again meanwhile.
					if ended = !errors.Is(err, NotFound) || !r.kinds.Set().Has(k); ended {
						delete(followed, k)
					}
					mu.Unlock()
				}
			})
		}
	})
	all.Wait()
	return ctx.Err()
}

// countdown is a function whose n-th call calls done; where n is 0, done is called at once.
func countdown(n int, done func()) func() {
	if n == 0 {
		done()
	}
	var calls atomic.Int64
	return func() {
		if calls.Add(1) == int64(n) {
			done()
		}
	}
}

// FollowAll follows several kinds, each on a goroutine of its own as Follow does. It calls started when it has a first state
// of every kind: a change of any of them to what is read from the cache after that is reported, so that a caller that acts on the
// first state misses no change. A kind that is not served, or not any more, is not waited for. It returns only ctx's error.
func (r *Registry) FollowAll(ctx context.Context, kinds map[*schema.Kind]func(Change), started func()) error {
	var all sync.WaitGroup
	pinned := countdown(len(kinds), started)
	for k, f := range kinds {
		all.Go(func() { _ = r.follow(ctx, k, f, pinned, func() {}) })
	}
	all.Wait()
	<-ctx.Done()
	return ctx.Err()
}

// FollowApplied is FollowAll, except that it calls applied when each kind's function was called for every object of the first state.
func (r *Registry) FollowApplied(ctx context.Context, kinds map[*schema.Kind]func(Change), applied func()) error {
	var all sync.WaitGroup
	done := countdown(len(kinds), applied)
	for k, f := range kinds {
		all.Go(func() { _ = r.follow(ctx, k, f, func() {}, done) })
	}
	all.Wait()
	<-ctx.Done()
	return ctx.Err()
}

// follow is Follow; pinned is called between the first state and f's first call, applied after f's call for the last object of that state.
// Where there is no such state, both are called at once.
func (r *Registry) follow(ctx context.Context, k *schema.Kind, f func(Change), pinned, applied func()) error {
	c, err := r.cache(k)
	if err == nil {
		err = c.await(ctx, 0)
	}
	switch {
	case errors.Is(err, NotFound), errors.Is(err, Replaced):
		pinned()
		applied()
		return err
	case err != nil:
		<-ctx.Done() // where the registry has ended, nothing changes any more
		return ctx.Err()
	}
	f = r.recovering(k, f)
	c.decoded.Store(true)
	items, at := c.startCursor()
	defer c.endCursor(at)
	pinned()
	for _, it := range items {
		f(Change{New: it})
	}
	applied()
	for ctx.Err() == nil {
		changes, news := c.since(at)
		for _, ch := range changes {
			f(ch)
		}
		if len(changes) > 0 {
			continue
		}
		select {
		case <-news:
		case <-c.removed:
			c.reportDeleted(at, f)
			return notServed(k)
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// reportDeleted calls f for every object of a follower's state as deleted.
func (c *cache) reportDeleted(at *cursor, f func(Change)) {
	c.mu.Lock()
	c.view.Flush()
	items := c.view.Sorted()
	changes := c.unseen(at)
	c.mu.Unlock()
	for _, ch := range changes {
		f(ch)
	}
	for _, it := range items {
		f(Change{Old: it})
	}
}

// removalHook is the function of OnRemoved; the zero value does nothing.
type removalHook struct{ f atomic.Pointer[func(*Item)] }

func (h *removalHook) call(it *Item) {
	if f := h.f.Load(); f != nil {
		(*f)(it)
	}
}

// OnRemoved calls f with the last state of every object that the cache of k loses from now on, be it deleted or unreadable, before any reader
// can miss it. f is called with the cache locked: it may neither block nor read this registry. One function at a time; stop ends the calls.
func (r *Registry) OnRemoved(k *schema.Kind, f func(*Item)) (stop func(), err error) {
	c, err := r.cache(k)
	if err != nil {
		return nil, err
	}
	c.mu.Lock() // no change is between the calls before and after
	defer c.mu.Unlock()
	c.removal.f.Store(&f)
	return func() { c.removal.f.CompareAndSwap(&f, nil) }, nil
}

// recovering is f, except that a panic of it is logged and f is called for the next change.
func (r *Registry) recovering(k *schema.Kind, f func(Change)) func(Change) {
	return func(ch Change) {
		err := safely.Call(func() error {
			f(ch)
			return nil
		})
		if err == nil {
			return
		}
		it := ch.New
		if it == nil {
			it = ch.Old
		}
		r.cfg.Log.Error("panic recovered", "agent", r.cfg.Agent, "reason", "following", "kind", k.Kind, "ns", it.Namespace, "name", it.Name, "rv", it.Revision, "err", err)
	}
}

// cursor is a follower's position in the ring. Its owner moves it under the cache's read lock, the ring under the write lock.
type cursor struct {
	pos int64
	// missed is what the ring dropped before the follower reached it, by key: at most as much as there are objects, however many
	// changes there were.
	missed map[string]Change
}

// startCursor returns the state and a cursor after it.
func (c *cache) startCursor() ([]*Item, *cursor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.view.Flush()
	at := &cursor{pos: c.ring.end()}
	c.ring.cursors[at] = struct{}{}
	return c.view.Sorted(), at
}

func (c *cache) endCursor(at *cursor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.ring.cursors, at)
}

// miss keeps what the ring is about to drop; base is the position of the first.
func (at *cursor) miss(entries []entry, base int64) {
	end := base + int64(len(entries))
	if at.pos >= end {
		return
	}
	if at.missed == nil {
		at.missed = map[string]Change{}
	}
	for _, e := range entries[at.pos-base:] {
		relKey, next := e.item.relKey, e.change()
		if known, ok := at.missed[relKey]; ok {
			next.Old = known.Old
		}
		if next.Old == nil && next.New == nil {
			delete(at.missed, relKey) // created and deleted
		} else {
			at.missed[relKey] = next
		}
	}
	at.pos = end
}

// change is an entry as a Change of Follow.
func (e entry) change() Change {
	if e.gone {
		return Change{Old: e.prev}
	}
	return Change{Old: e.prev, New: e.item}
}

// since returns the changes that a follower has not seen and moves its cursor after them.
func (c *cache) since(at *cursor) ([]Change, <-chan struct{}) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.unseen(at), c.changed
}

// unseen is the changes of since; c.mu is held.
func (c *cache) unseen(at *cursor) []Change {
	entries := c.ring.from(at.pos)
	changes := at.takeMissed(len(entries))
	for _, e := range entries {
		changes = append(changes, e.change())
	}
	at.pos = c.ring.end()
	return changes
}

// takeMissed returns what was missed, with room for more: first what is gone, then what is new or changed in order of
// revision. An object that was deleted and made again is both.
func (at *cursor) takeMissed(room int) []Change {
	changes := make([]Change, 0, 2*len(at.missed)+room)
	var there []Change
	for _, ch := range at.missed {
		switch {
		case ch.New == nil:
			changes = append(changes, ch)
		case ch.Old != nil && ch.Old.uid != ch.New.uid:
			changes = append(changes, Change{Old: ch.Old})
			there = append(there, Change{New: ch.New})
		default:
			there = append(there, ch)
		}
	}
	at.missed = nil
	slices.SortFunc(there, func(a, b Change) int { return cmp.Compare(a.New.Revision, b.New.Revision) })
	return append(changes, there...)
}

// rereadOne is how long FollowOne watches before it reads again: etcd may have been restored to an earlier state.
const rereadOne = 5 * time.Minute

// FollowOne calls f with one object as it is, nil where there is none, and then with its every state, until ctx is done. It reads and
// watches that key alone, for processes that may read no other of the kind. A state may be reported again. A value that cannot be read
// changes nothing. It returns ctx's error.
func (r *Registry) FollowOne(ctx context.Context, k *schema.Kind, namespace, name string, f func(*Item)) error {
	key := kindPrefix(k, "") + name
	if k.Namespaced {
		key = kindPrefix(k, "") + namespace + "/" + name
	}
	call := r.recovering(k, func(c Change) { f(c.New) })
	update := func(kv *store.KV) {
		if kv == nil {
			f(nil)
			return
		}
		it, err := r.itemFrom(k, kv)
		if err != nil {
			r.cfg.Log.Warn("value skipped", "agent", r.cfg.Agent, "kind", k.Kind, "ns", namespace, "name", name, "rv", kv.ModRevision, "err", err)
			return
		}
		call(Change{New: it})
	}
	for pause := firstRewatch; ctx.Err() == nil; pause = min(2*pause, lastRewatch) {
		kv, rev, err := r.store.Get(ctx, key, 0)
		if err == nil {
			pause = firstRewatch
			update(kv)
			watch, cancel := context.WithTimeout(ctx, rereadOne)
			for batch := range r.store.Watch(watch, key, key+"\x00", rev+1, false) {
				for _, e := range batch.Events {
					if e.Delete {
						update(nil)
					} else {
						update(e.KV)
					}
				}
			}
			cancel()
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}
