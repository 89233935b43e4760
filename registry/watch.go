package registry

import (
	"context"
	"fmt"
	"time"

	"gantry/registry/selector"
	"gantry/schema"
)

// Watch opens a watch; it holds no goroutine and needs no closing.
func (r *Registry) Watch(ctx context.Context, k *schema.Kind, namespace string, o WatchOptions) (*Watcher, error) {
	if err := validateWatch(o); err != nil {
		return nil, err
	}
	s, err := parseSelector(k, o.Version, namespace, o.Labels, o.Fields)
	if err != nil {
		return nil, err
	}
	rev, err := parseRevision(k, o.ResourceVersion)
	if err != nil {
		return nil, err
	}
	c, err := r.cache(k)
	if err != nil {
		return nil, err
	}
	w := &Watcher{c: c, sel: s, bookmarks: o.Bookmarks, bookmarkAt: time.Now().Add(bookmarkEvery)}
	if err := w.open(ctx, o, rev); err != nil {
		return nil, about(k, "", err)
	}
	if err := convertFor(ctx, &w.sel, w.initial); err != nil {
		return nil, err
	}
	return w, nil
}

// Watcher is a cursor on a kind's history. It is for one goroutine.
type Watcher struct {
	c   *cache
	sel selector.Selector

	initial   []*Item // still to be sent as ADDED
	converted int64   // the position in the ring up to which items are converted for the selector
	end       bool    // the bookmark that ends the initial events is due

	start      int64 // nothing up to it is sent
	rev        int64 // everything up to it was sent
	pos        int64 // in the ring; -1: not there yet, rev is older
	bookmarks  bool
	bookmarkAt time.Time
}

// A bookmark is sent about this often; a watcher's Next returns at most watchBatch events, but never a part of a
// revision.
const (
	bookmarkEvery = time.Minute
	watchBatch    = 512
)

func (w *Watcher) open(ctx context.Context, o WatchOptions, rev int64) error {
	initial := rev == 0
	if o.SendInitialEvents != nil {
		initial = *o.SendInitialEvents
		w.end = initial && o.Bookmarks
	}
	if !initial && rev > 0 {
		return w.openAt(ctx, rev)
	}
	if _, err := w.c.freshen(ctx, o.ResourceVersion, rev); err != nil {
		return err
	}
	if !initial {
		w.c.mu.RLock()
		defer w.c.mu.RUnlock()
		w.rev, w.pos = w.c.rev, w.c.ring.end()
		return nil
	}
	defer w.c.unlock(w.c.lockSorted(""))
	w.rev, w.pos = w.c.rev, w.c.ring.end()
	lo, hi := namespaceSpan(w.sel.Namespace)
	w.initial = span(w.c.view.Sorted(), lo, hi)
	return nil
}

// openAt starts after rev: in the ring, or before it in etcd's history.
func (w *Watcher) openAt(ctx context.Context, rev int64) error {
	if err := w.c.await(ctx, 0); err != nil {
		return err
	}
	w.rev, w.pos = rev, -1
	if !w.enterRing() && w.sel.Version != nil {
		return tooOld(rev, w.c.floor()) // what is read from etcd's history is not converted
	}
	return nil
}

// Next appends every event that is due to buf (at most a few hundred) and returns it; it waits for the first.
// It returns Expired when the watcher fell too far behind, NotFound when the kind is not served any more, and ctx's error when
// that ends.
func (w *Watcher) Next(ctx context.Context, buf []Event) ([]Event, error) {
	n := len(buf)
	for {
		if err := ctx.Err(); err != nil {
			return buf, err
		}
		var err error
		var news <-chan struct{}
		switch {
		case len(w.initial) > 0 || w.end:
			buf = w.takeInitial(buf)
		case w.pos < 0:
			buf, err = w.catchUp(ctx, buf)
		default:
			if err = w.convert(ctx); err == nil {
				buf, news, err = w.take(buf)
			}
		}
		if err != nil || len(buf) > n {
			return buf, err
		}
		if news == nil {
			continue
		}
		if buf, err = w.wait(ctx, news, buf); err != nil || len(buf) > n {
			return buf, err
		}
	}
}

// takeInitial appends the state the watch begins with.
func (w *Watcher) takeInitial(buf []Event) []Event {
	for n := 0; len(w.initial) > 0 && n < watchBatch; w.initial = w.initial[1:] {
		if it := w.initial[0]; selects(&w.sel, it) {
			buf = append(buf, Event{Type: Added, Item: it, Revision: it.Revision})
			n++
		}
	}
	if len(w.initial) == 0 && w.end {
		w.end = false
		buf = append(buf, Event{Type: Bookmark, Revision: w.rev, InitialEnd: true})
	}
	return buf
}

// convert converts the objects of the ring's changes that the watcher has not seen, where the selector reads them in a version.
func (w *Watcher) convert(ctx context.Context) error {
	if w.sel.Version == nil {
		return nil
	}
	c := w.c
	var items []*Item
	c.mu.RLock()
	end := c.ring.end()
	if from := max(w.pos, w.converted, c.ring.base); from < end {
		for _, e := range c.ring.from(from) {
			items = append(items, e.item, e.prev)
		}
	}
	c.mu.RUnlock()
	if err := convertFor(ctx, &w.sel, items); err != nil {
		return err
	}
	w.converted = end
	return nil
}

// take appends the ring's events for this watcher; news is the channel to wait on where there are none.
func (w *Watcher) take(buf []Event) ([]Event, <-chan struct{}, error) {
	c, n := w.c, len(buf)
	c.mu.RLock()
	defer c.mu.RUnlock()
	if w.pos < c.ring.base || w.pos < c.ring.gap {
		return buf, nil, tooOld(w.rev, c.ring.floor)
	}
	for _, e := range c.ring.from(w.pos) {
		if len(buf)-n >= watchBatch && e.rev != w.rev || w.sel.Version != nil && w.pos >= w.converted {
			return buf, nil, nil
		}
		if w.pos++; e.rev > w.start {
			buf = w.offer(buf, e)
		}
		w.rev = max(w.rev, e.rev)
	}
	if len(buf) == n {
		w.rev = max(w.rev, c.rev)
	}
	return buf, c.changed, nil
}

// offer appends the event that a change is for this watcher, if any.
func (w *Watcher) offer(buf []Event, e entry) []Event {
	was := e.prev != nil && selects(&w.sel, e.prev)
	is := !e.gone && selects(&w.sel, e.item)
	switch {
	case was && is:
		return append(buf, Event{Type: Modified, Item: e.item, Revision: e.rev})
	case is:
		return append(buf, Event{Type: Added, Item: e.item, Revision: e.rev})
	case was && e.gone:
		return append(buf, Event{Type: Deleted, Item: e.item, Revision: e.rev})
	case was:
		return append(buf, Event{Type: Deleted, Item: e.leaving(), Revision: e.rev})
	}
	return buf
}

// leaving is the state that a watcher's selector.Selector no longer matches, under the revision of the change.
func (e entry) leaving() *Item {
	if it := e.leftState.Load(); it != nil {
		return it
	}
	e.leftState.CompareAndSwap(nil, e.prev.atRevision(e.rev))
	return e.leftState.Load()
}

// wait waits for news; a bookmark may be due before.
func (w *Watcher) wait(ctx context.Context, news <-chan struct{}, buf []Event) ([]Event, error) {
	var due <-chan time.Time
	if w.bookmarks {
		t := time.NewTimer(time.Until(w.bookmarkAt))
		defer t.Stop()
		due = t.C
	}
	select {
	case <-news:
	case <-due:
		w.bookmarkAt = time.Now().Add(bookmarkEvery)
		if b, ok := w.bookmark(); ok {
			return append(buf, b), nil
		}
	case <-ctx.Done():
		return buf, ctx.Err()
	case <-w.c.removed:
		return buf, notServed(w.c.kind)
	case <-w.c.reads.done:
		return buf, errEnded
	}
	return buf, nil
}

// bookmark is one of the cache's revision, where no event for this watcher is due before.
func (w *Watcher) bookmark() (Event, bool) {
	w.c.mu.RLock()
	defer w.c.mu.RUnlock()
	if w.pos != w.c.ring.end() || w.pos < w.c.ring.gap {
		return Event{}, false
	}
	w.rev = max(w.rev, w.c.rev)
	return Event{Type: Bookmark, Revision: w.rev}, true
}

// catchUp appends changes from etcd's own history, up to the beginning of the ring.
func (w *Watcher) catchUp(ctx context.Context, buf []Event) ([]Event, error) {
	b := w.c.backfill
	n := len(buf)
	for !w.enterRing() {
		var came bool
		if buf, came = b.take(w, buf); len(buf) > n {
			return buf, nil
		}
		if came {
			continue
		}
		if err := w.awaitPast(ctx, b); err != nil {
			return buf, err
		}
	}
	return buf, nil
}

// awaitPast waits until the backfill or the ring may have what comes next.
func (w *Watcher) awaitPast(ctx context.Context, b *backfill) error {
	news, err := b.wait(w)
	if err != nil {
		return err
	}
	defer b.leave(w)
	select {
	case <-news:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-w.c.removed:
		return notServed(w.c.kind)
	case <-w.c.reads.done:
		return errEnded
	}
}

// enterRing moves the watcher into the ring, where that has everything after its revision.
func (w *Watcher) enterRing() bool {
	w.c.mu.RLock()
	defer w.c.mu.RUnlock()
	pos, ok := w.c.ring.after(w.rev)
	if ok {
		w.pos, w.start = pos, w.rev // the cache may not have seen yet what was read from etcd's history
	}
	return ok
}

func (c *cache) floor() int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.ring.floor
}

func tooOld(rev, oldest int64) error {
	return &Error{Kind: Expired, Reason: fmt.Sprintf("too old resource version: %d (%d)", rev, oldest)}
}
