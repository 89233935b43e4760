package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gantry/registry/selector"
	"gantry/registry/store"
	"gantry/schema"
)

// token is what a continue token holds; it is Kubernetes' form, but that start is the key below /registry/, so that
// a token of another resource or namespace is known.
type token struct {
	Version  string `json:"v"`
	Revision int64  `json:"rv"` // -1: the latest, an inconsistent continuation
	Start    string `json:"start"`
}

const tokenVersion = "meta.k8s.io/v1"

// encodeContinue makes the token of the page after the key last.
func encodeContinue(k *schema.Kind, last string, rev int64) string {
	return encodeToken(k, last+"\x00", rev)
}

func encodeToken(k *schema.Kind, start string, rev int64) string {
	data, err := json.Marshal(token{tokenVersion, rev, k.Prefix + "/" + start})
	if err != nil {
		panic(fmt.Sprintf("registry: encoding a continue token: %v", err)) // cannot happen
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

// decodeContinue returns where a list goes on; BadRequest for a token that List did not make for this list.
func decodeContinue(k *schema.Kind, namespace, text string) (start string, rev int64, err error) {
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return "", 0, badToken(k, err.Error())
	}
	var t token
	if err := json.Unmarshal(data, &t); err != nil {
		return "", 0, badToken(k, err.Error())
	}
	if t.Version != tokenVersion {
		return "", 0, badToken(k, fmt.Sprintf("server does not recognize this encoded version %q", t.Version))
	}
	if t.Revision == 0 || t.Revision < -1 {
		return "", 0, badToken(k, "incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
	}
	start, ok := strings.CutPrefix(t.Start, k.Prefix+"/")
	lo, _ := namespaceSpan(namespace)
	if !ok || start == "" || !strings.HasPrefix(start, lo) || strings.Contains(start, "..") {
		return "", 0, badToken(k, t.Start)
	}
	return start, t.Revision, nil
}

func badToken(k *schema.Kind, why string) error {
	return badRequest(k, "invalid continue token: continue key is not valid: "+why)
}

// page is a state of which a list has returned a part: its later pages are made from it.
type page struct {
	rev    int64
	sorted []*Item
	made   time.Time // when the first page was
	until  time.Time
}

// How many states are kept for paging and for how long after the last use; later pages are read from etcd. A token older than
// pageTime expires with etcd's history, as clients expect, though the state may be in memory.
const (
	maxPages = 4
	pageTime = time.Minute
)

// keepPage remembers the state at rev for the pages to come.
func (c *cache) keepPage(rev int64, sorted []*Item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	next := page{rev, sorted, now, now.Add(pageTime)}
	if i := slices.IndexFunc(c.pages, func(p page) bool { return p.rev == rev }); i >= 0 {
		next.made = c.pages[i].made
	}
	c.dropPages(rev)
	if len(c.pages) >= maxPages {
		c.pages = c.pages[1:]
	}
	c.pages = append(c.pages, next)
}

// dropPages drops the states that have expired and that of rev; c.mu is held.
func (c *cache) dropPages(rev int64) {
	now := time.Now()
	c.pages = slices.DeleteFunc(slices.Clone(c.pages), func(p page) bool { return p.rev == rev || !now.Before(p.until) })
}

// stateAt is the whole state at rev, where the cache still has it; made is when its first page was, zero where that is not known.
func (c *cache) stateAt(rev int64) (sorted []*Item, made time.Time, ok bool) {
	defer c.unlock(c.lockSorted(""))
	for _, p := range c.pages {
		if p.rev == rev {
			return p.sorted, p.made, true
		}
	}
	if c.filled && c.last <= rev && rev <= c.rev {
		return c.view.Sorted(), time.Time{}, true
	}
	return nil, time.Time{}, false
}

// listOn serves the page that a continue token names.
func (c *cache) listOn(ctx context.Context, s selector.Selector, o ListOptions) (List, error) {
	start, rev, err := decodeContinue(c.kind, s.Namespace, o.Continue)
	if err != nil {
		return List{}, err
	}
	if o.ResourceVersion != "" && o.ResourceVersion != "0" {
		return List{}, badRequest(c.kind, "specifying resource version is not allowed when using continue")
	}
	if rev > 0 {
		return c.listAt(ctx, s, start, o.Limit, rev)
	}
	if _, err := c.consistent(ctx); err != nil {
		return List{}, err
	}
	items, sorted, at := c.snapshot(&s)
	l, err := c.pageOf(ctx, items, s, start, o.Limit, at)
	if err != nil {
		return List{}, err
	}
	if l.Continue != "" {
		c.keepPage(at, sorted)
	}
	return l, nil
}

// listAt serves a list exactly at rev, from key start on: from the cache where it has that state, else from etcd.
func (c *cache) listAt(ctx context.Context, s selector.Selector, start string, limit, rev int64) (List, error) {
	if err := c.await(ctx, 0); err != nil {
		return List{}, err
	}
	l, ok, err := c.listMemory(ctx, s, start, limit, rev)
	if !ok {
		l, err = c.listStore(ctx, s, start, limit, rev)
	}
	switch {
	case errors.Is(err, Expired) && start != "":
		return List{}, &Error{Kind: Expired, Reason: tooOldToken, Continue: encodeToken(c.kind, start, -1), Cause: err}
	case errors.Is(err, Expired):
		return List{}, &Error{Kind: Expired, Reason: "The resourceVersion for the provided list is too old.", Cause: err}
	}
	return l, err
}

// listMemory is listAt where the cache has the state. Expired: etcd has compacted it, and a token for it is not young.
func (c *cache) listMemory(ctx context.Context, s selector.Selector, start string, limit, rev int64) (l List, ok bool, err error) {
	sorted, made, ok := c.stateAt(rev)
	if !ok {
		return List{}, false, nil
	}
	if start != "" && time.Since(made) > pageTime {
		if _, _, err := c.store.Get(ctx, c.prefix+start, rev); errors.Is(err, Expired) {
			return List{}, true, err
		}
	}
	lo, hi := namespaceSpan(s.Namespace)
	l, err = c.pageOf(ctx, span(sorted, lo, hi), s, start, limit, rev)
	if err == nil && l.Continue != "" {
		c.keepPage(rev, sorted)
	}
	return l, true, err
}

const tooOldToken = "The provided continue parameter is too old to display a consistent list result. " +
	"You can start a new list without the continue parameter, or use the continue token in this response to retrieve " +
	"the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that " +
	"were created, modified, or deleted between the time the first chunk was returned and now may show up in the list."

// listStore reads a list from etcd at rev.
func (c *cache) listStore(ctx context.Context, s selector.Selector, start string, limit, rev int64) (List, error) {
	if now, err := c.store.Revision(ctx); err != nil {
		return List{}, err
	} else if rev > now {
		return List{}, tooLarge(rev, now)
	}
	select {
	case c.reads.old <- struct{}{}:
		defer func() { <-c.reads.old }()
	case <-ctx.Done():
		return List{}, ctxError(ctx)
	}
	lo, hi := namespaceSpan(s.Namespace)
	key, end := c.prefix+max(lo, start), store.RangeEnd(c.prefix)
	if hi != "" {
		end = c.prefix + hi
	}
	l := List{Revision: rev}
	for {
		ask := int64(listPage)
		if s.All && limit > 0 {
			ask = min(ask, limit-int64(len(l.Items)))
		}
		items, last, count, err := c.listPage(ctx, key, end, ask, rev)
		if err != nil {
			return List{}, err
		}
		if err := convertFor(ctx, &s, items); err != nil {
			return List{}, err
		}
		for i, it := range items {
			if it == nil || !selects(&s, it) {
				continue
			}
			l.Items = append(l.Items, it)
			left := count - int64(i) - 1
			if limit > 0 && int64(len(l.Items)) == limit && left > 0 {
				l.Continue = encodeContinue(c.kind, it.relKey, rev)
				if s.All {
					l.Remaining = &left
				}
				return l, nil
			}
		}
		if int64(len(items)) == count || len(items) == 0 {
			return l, nil
		}
		key = last + "\x00"
	}
}

// historyLists bounds the lists of history that are read from etcd at once: each of their pages takes megabytes until it is decoded,
// and most of that is then what the cache holds anyway. They wait for their turn as wholes: where etcd cannot serve all in
// time, pages that take turns would have all of them fail.
const historyLists = 8

// listPage reads and decodes a page of an old state: an item for each key, nil where its value is bad, the last key, and how
// many keys there are from start on.
func (c *cache) listPage(ctx context.Context, start, end string, limit, rev int64) (items []*Item, last string, count int64, err error) {
	kvs, count, _, err := c.store.List(ctx, start, end, limit, rev)
	if err != nil {
		return nil, "", 0, err
	}
	items = make([]*Item, len(kvs))
	for i, kv := range kvs {
		items[i], last = c.itemAt(kv), kv.Key
	}
	return items, last, count, nil
}

// itemAt is an item of an old state; nil where its value is bad.
func (c *cache) itemAt(kv *store.KV) *Item {
	relKey := strings.TrimPrefix(kv.Key, c.prefix)
	if it := c.known(relKey, kv.ModRevision); it != nil {
		return it
	}
	it, err := itemAt(c.kind, relKey, kv, false)
	if err != nil {
		return nil
	}
	return it
}
