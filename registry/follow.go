package registry

import (
	"context"
	"sync"
	"sync/atomic"

	"gantry/registry/safely"
	"gantry/schema"
)

// Follow calls f for every object there is (Old nil) and then for every change, in order, until ctx is done.
// It outlives compactions, reconnects and restarts of etcd: what was deleted meanwhile is reported as gone. f is called
// on one goroutine and must not block: what it has not seen yet stays in memory. It returns only ctx's error.
func (r *Registry) Follow(ctx context.Context, k *schema.Kind, f func(Change)) error {
	return r.follow(ctx, k, f, func() {})
}

// FollowAll follows several kinds, each on a goroutine of its own as Follow does. It calls started when it has a first state
// of every kind: a change of any of them to what is read from the cache after that is reported, so that whoever acts on what
// is there misses nothing.
func (r *Registry) FollowAll(ctx context.Context, kinds map[*schema.Kind]func(Change), started func()) error {
	var all sync.WaitGroup
	var waiting atomic.Int64
	waiting.Store(int64(len(kinds)))
	if len(kinds) == 0 {
		started()
	}
	for k, f := range kinds {
		all.Go(func() {
			_ = r.follow(ctx, k, f, func() { // its only error is ctx's
				if waiting.Add(-1) == 0 {
					started()
				}
			})
		})
	}
	all.Wait()
	return ctx.Err()
}

// follow is Follow; pinned is called between the first state and f's first call.
func (r *Registry) follow(ctx context.Context, k *schema.Kind, f func(Change), pinned func()) error {
	c, f := r.cache(k), r.recovering(k, f)
	if c.await(ctx, 0) != nil {
		<-ctx.Done() // where it is the registry that has ended, nothing will change any more
		return ctx.Err()
	}
	c.decoded.Store(true)
	items, pos := c.pin()
	defer c.unpin(pos)
	pinned()
	for _, it := range items {
		f(Change{New: it})
	}
	for ctx.Err() == nil {
		entries, news := c.since(pos)
		for _, e := range entries {
			ch := Change{Old: e.prev, New: e.item}
			if e.gone {
				ch.New = nil
			}
			f(ch)
		}
		if len(entries) > 0 {
			continue
		}
		select {
		case <-news:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// recovering is f, but a panic of it is logged and the next change comes.
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

// pin returns the state and a position after it that the ring keeps until unpin.
func (c *cache) pin() ([]*Item, *int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.view.flush()
	pos := c.ring.end()
	c.ring.pins[&pos] = struct{}{}
	return c.view.sorted, &pos
}

func (c *cache) unpin(pos *int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.ring.pins, pos)
}

// since copies the entries from a pinned position on and moves it there.
func (c *cache) since(pos *int64) ([]entry, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entries := append([]entry(nil), c.ring.from(*pos)...)
	*pos = c.ring.end()
	return entries, c.news
}
