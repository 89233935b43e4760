package registry

import (
	"context"
	"errors"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gantry/registry/safely"
	"gantry/registry/store"
)

// backfill is the part of a kind's history before the ring that was read last, for the watchers that resume there. One watch of etcd
// reads for all of them: from the oldest revision that is wanted up to the ring. A watcher that resumes before
// what is kept waits for the next round, and so does one that is too slow for what is kept. The next round begins when this one has
// reached the ring, so that requests for an old revision, again and again, make no other watcher wait for ever.
type backfill struct {
	c    *cache
	wake chan struct{} // has a token when a watcher waits

	mu         sync.RWMutex // guards all below; it is taken after the cache's
	entries    []entry      // every change after floor up to rev
	floor, rev int64
	bytes      int
	limit      int                // of entries
	waiting    map[*Watcher]int64 // the watchers to serve, each with its revision
	compacted  int64              // etcd has no changes before this revision any more, as far as is known
	reached    bool               // the last round is over: the ring followed on entries
	round      int                // counts how often entries began anew
	ended      time.Time          // the last watch of etcd
	changed    chan struct{}      // closed and replaced when any of this changes
	awaited    int64              // passed when the wait for its reader began
	deadline   time.Time          // of that wait

	started sync.Once // run, with the first watcher that waits

	passed atomic.Int64 // the revision that the foremost reader of entries has reached
}

// What a backfill keeps of what the foremost reader has passed, and how far it reads ahead of that one.
const (
	backfillEntries = 16384
	backfillBytes   = 32 << 20
	readAhead       = 4096
	// readerTimeout is how long entries are kept for a reader that does not read on.
	readerTimeout = time.Second
)

func newBackfill(c *cache) *backfill {
	return &backfill{
		c: c, wake: make(chan struct{}, 1), limit: backfillEntries, reached: true,
		waiting: map[*Watcher]int64{}, changed: make(chan struct{}),
	}
}

// take appends the events that are kept for a watcher; came tells that the watcher has advanced, even where none of them was for it.
func (b *backfill) take(w *Watcher, buf []Event) (_ []Event, came bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if !b.has(w.rev) {
		return buf, false
	}
	n := len(buf)
	defer func() { b.pass(w.rev) }()
	for _, e := range b.entries[b.after(w.rev):] {
		if len(buf)-n >= watchBatch && e.rev != w.rev {
			return buf, true
		}
		buf, w.rev = w.offer(buf, e), e.rev
	}
	w.rev = b.rev
	return buf, true
}

// pass notes that a reader has reached a revision.
func (b *backfill) pass(rev int64) {
	for was := b.passed.Load(); was < rev && !b.passed.CompareAndSwap(was, rev); was = b.passed.Load() {
	}
}

// has tells whether changes after a revision are kept; b.mu is held.
func (b *backfill) has(rev int64) bool { return b.floor <= rev && rev < b.rev }

// after is the index of the first entry after a revision.
func (b *backfill) after(rev int64) int {
	return sort.Search(len(b.entries), func(i int) bool { return b.entries[i].rev > rev })
}

// wait asks for what comes after the watcher's revision and returns a channel that is closed when it may be there. It is Expired where
// etcd does not have it any more.
func (b *backfill) wait(w *Watcher) (<-chan struct{}, error) {
	ringFloor := b.c.floor()
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case w.rev+1 < b.compacted:
		return nil, tooOld(w.rev, ringFloor)
	case b.has(w.rev):
		return closedChannel, nil
	}
	b.waiting[w] = w.rev
	b.started.Do(func() {
		b.c.reads.starts.add(b.c, func(ctx context.Context) error {
			return safely.Keep(ctx, b.c.log, "reading etcd's history", b.run)
		})
	})
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return b.changed, nil
}

// closedChannel is returned where there is no need to wait.
var closedChannel = func() <-chan struct{} { c := make(chan struct{}); close(c); return c }()

// leave removes a watcher from those that wait.
func (b *backfill) leave(w *Watcher) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.waiting, w)
}

// run reads for the watchers that wait, until ctx is done.
func (b *backfill) run(ctx context.Context) error {
	pause := firstRewatch
	for {
		round, wanted, later := b.next(time.Now())
		if !wanted {
			var due <-chan time.Time
			if later > 0 {
				due = time.After(later)
			}
			select {
			case <-b.wake:
			case <-due:
			case <-ctx.Done():
				return nil
			}
			continue
		}
		err := b.read(ctx, round)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			pause = firstRewatch
			continue
		}
		b.c.log.Warn("reading etcd's history put off", "after", pause, "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
		pause = min(2*pause, lastRewatch)
	}
}

// next tells whether there is something to read, and sets from where; later is when to ask again.
func (b *backfill) next(now time.Time) (round int, wanted bool, later time.Duration) {
	ringFloor := b.c.floor()
	b.mu.Lock()
	defer b.mu.Unlock()
	from := b.oldest(ringFloor)
	if from < 0 {
		return b.round, false, 0
	}
	if from != b.rev && !b.reached {
		if passed := b.passed.Load(); passed != b.awaited {
			b.awaited, b.deadline = passed, now.Add(readerTimeout)
		}
		if wait := b.deadline.Sub(now); wait > 0 {
			return b.round, false, wait
		}
	}
	if from != b.rev {
		b.restart(from)
	}
	b.reached = false
	return b.round, true, 0
}

// oldest is the revision to read on from: that of a watcher ahead of entries until the round is over, then of one before them; -1: none
// waits. b.mu is held.
func (b *backfill) oldest(ringFloor int64) int64 {
	before, ahead := int64(-1), int64(-1)
	for _, rev := range b.waiting {
		switch {
		case rev >= ringFloor || b.has(rev) || rev+1 < b.compacted: // it can go on
		case rev < b.floor && (before < 0 || rev < before):
			before = rev
		case rev >= b.rev && (ahead < 0 || rev < ahead):
			ahead = rev
		}
	}
	if ahead < 0 || b.reached && before >= 0 {
		return before
	}
	return ahead
}

// restart drops the entries and begins at a revision; b.mu is held.
func (b *backfill) restart(from int64) {
	b.entries, b.bytes, b.floor, b.rev = nil, 0, from, from
	b.passed.Store(from)
	b.round++
}

// reset drops everything: etcd may have been restored, with another history.
func (b *backfill) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.restart(0)
	b.compacted, b.reached = 0, true
	b.notify()
}

// notify wakes the watchers that wait; b.mu is held.
func (b *backfill) notify() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// read reads etcd's history until the ring is reached or no watcher needs more for now.
func (b *backfill) read(ctx context.Context, round int) error {
	defer b.c.reads.progress.Wait(b.c.prefix)()
	ctx, cancel := context.WithCancel(ctx)
	b.mu.RLock()
	from := b.rev + 1
	b.mu.RUnlock()
	latest := map[string]*Item{}
	batches := b.c.store.Watch(ctx, b.c.prefix, store.RangeEnd(b.c.prefix), from, true)
	defer func() {
		cancel()
		for range batches { // until the store has ended it
		}
	}()
	for batch := range batches {
		switch {
		case errors.Is(batch.Err, Expired):
			b.expire(from-1, batch.Revision)
			return nil
		case batch.Err != nil:
			return batch.Err
		}
		entries := make([]entry, 0, len(batch.Events))
		for _, ev := range batch.Events {
			if e, ok := b.c.pastEntry(ev, latest); ok {
				entries = append(entries, e)
			}
		}
		if enough := b.add(round, entries, batch.Revision); enough {
			return nil
		}
	}
	return errors.New("the watch ended")
}

// expire notes that etcd does not have what follows rev; compacted is the oldest revision that it has, 0: not known.
func (b *backfill) expire(rev, compacted int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.compacted = max(b.compacted, compacted, rev+2)
	b.reached, b.ended = true, time.Now()
	b.notify()
}

// add appends the changes up to a revision and tells whether that is enough for now.
func (b *backfill) add(round int, entries []entry, rev int64) (enough bool) {
	ringFloor := b.c.floor()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.round != round {
		return true
	}
	b.entries = append(b.entries, entries...)
	for _, e := range entries {
		b.bytes += e.pastSize()
	}
	b.rev = max(b.rev, rev)
	b.trim()
	b.reached = b.rev >= ringFloor
	b.ended = time.Now()
	b.notify()
	return b.reached || b.full(len(b.entries)) || len(b.entries)-b.after(b.passed.Load()) >= readAhead
}

// full tells whether as many entries are more than are kept; b.mu is held.
func (b *backfill) full(n int) bool { return n > b.limit || b.bytes > backfillBytes }

// trim drops the oldest revisions beyond the bounds, as far as the foremost reader has passed them, so that it always advances. b.mu is held.
func (b *backfill) trim() {
	n, passed := 0, b.passed.Load()
	for n < len(b.entries) && b.full(len(b.entries)-n) && b.entries[n].rev <= passed {
		b.floor = b.entries[n].rev
		for n < len(b.entries) && b.entries[n].rev == b.floor {
			b.bytes -= b.entries[n].pastSize()
			n++
		}
	}
	clear(b.entries[:n])
	b.entries = b.entries[n:]
}

// pastSize is size for an entry whose item no cache holds.
func (e entry) pastSize() int { return e.size() + len(e.item.JSON) }

// dropUnused drops entries that no watcher has read for a while.
func (b *backfill) dropUnused(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == 0 && now.Sub(b.ended) > ringAge {
		b.restart(0)
	}
}

// maxLatest bounds the states that pastEntry remembers.
const maxLatest = 4096

// pastEntry makes a change of etcd's history an entry; ok is false where no watcher sees it. latest are the states that the changes before it
// made, by key: they need not be decoded twice.
func (c *cache) pastEntry(ev store.Event, latest map[string]*Item) (e entry, ok bool) {
	e = newEntry(ev.KV.ModRevision)
	relKey := strings.TrimPrefix(ev.KV.Key, c.prefix)
	if ev.Prev != nil {
		if e.prev = latest[relKey]; e.prev == nil || e.prev.Revision != ev.Prev.ModRevision {
			e.prev = c.itemAt(ev.Prev)
		}
	}
	if !ev.Delete {
		e.item = c.itemAt(ev.KV)
	}
	if delete(latest, relKey); e.item != nil {
		if len(latest) >= maxLatest {
			clear(latest)
		}
		latest[relKey] = e.item
	}
	if e.item == nil && e.prev != nil {
		e.item, e.gone = e.prev.atRevision(e.rev), true
	}
	return e, e.item != nil
}
