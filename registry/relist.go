package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gantry/registry/store"
)

// listPage is how many keys are read from etcd at a time.
const listPage = 1000

// relist reads everything at one revision and brings the difference in.
func (c *cache) relist(ctx context.Context) (rev int64, err error) {
	found, bad := map[string]*Item{}, map[string]bool{}
	start, end := c.prefix, store.RangeEnd(c.prefix)
	for {
		kvs, count, now, err := c.store.List(ctx, start, end, listPage, rev)
		if err != nil {
			return 0, fmt.Errorf("listing %s: %w", c.prefix, err)
		}
		if rev == 0 {
			rev = now
		}
		for _, kv := range kvs {
			relKey := strings.TrimPrefix(kv.Key, c.prefix)
			if it := c.known(relKey, kv.ModRevision); it != nil {
				found[relKey] = it
			} else if it := c.decode(relKey, kv); it != nil {
				found[relKey] = it
			} else {
				bad[relKey] = true
			}
		}
		if int64(len(kvs)) == count || len(kvs) == 0 {
			break
		}
		start = kvs[len(kvs)-1].Key + "\x00"
	}
	c.replace(found, rev)
	c.bad.Sweep(bad)
	return rev, nil
}

// known is the item as cached where its revision is rev.
func (c *cache) known(relKey string, rev int64) *Item {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if it := c.view.Get(relKey); it != nil && it.Revision == rev && !c.rewound {
		return it
	}
	return nil
}

// replace makes found, the state at rev, the cache's state. The difference goes into the history for Follow, which thus reports
// everything that was deleted meanwhile. A watcher that is behind it is ended with Expired, because the changes between are not known:
// an object may have been created and deleted, or changed twice.
func (c *cache) replace(found map[string]*Item, rev int64) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	again := c.filled
	if c.rewound {
		c.backfill.reset()
	}
	for _, ch := range c.difference(found, rev) {
		if ch.item != nil {
			c.lastChange = ch
		}
		if again {
			c.step(ch, now)
		} else {
			c.view.Set(ch.relKey, ch.item)
		}
	}
	c.filled, c.stale, c.rewound, c.rev, c.last = true, false, false, rev, rev
	c.ring.floor, c.ring.gap, c.pages = rev, c.ring.end(), nil
	c.count()
	c.ring.trim(now)
	c.notify()
	close(c.changed)
	c.changed = make(chan struct{})
}

// difference is the steps from the cache's state to found: what is gone first, at rev, as the revision of its deletion is
// not known, then what is new or changed in order of revision. An object that was deleted and made again is both. c.mu is held.
func (c *cache) difference(found map[string]*Item, rev int64) []change {
	var gone, changed []change
	for relKey, old := range c.view.All() {
		if it := found[relKey]; it == nil || it.uid != old.uid {
			gone = append(gone, change{relKey: relKey, rev: rev})
		}
	}
	for relKey, it := range found {
		if c.view.Get(relKey) != it {
			changed = append(changed, change{relKey: relKey, rev: it.Revision, item: it})
		}
	}
	byRevision := func(a, b change) int { return int(a.rev - b.rev) }
	slices.SortFunc(changed, byRevision)
	return append(gone, changed...)
}
