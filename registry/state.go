package registry

import (
	"context"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/validation/path"

	"gantry/registry/store"
	"gantry/schema"
)

// state is the state of a key, as a write has read it.
type state struct {
	item *Item // nil: absent, or unreadable
	rev  int64 // the key's mod revision, 0: absent
	// live tells that it was read from the store during this write. A decision on an older state, except an update that the store checks,
	// must be made again on a live one: a cache may be behind.
	live bool
	bad  error // why item is nil although the key exists
}

// target is the object that a write is about.
type target struct {
	kind            *schema.Kind
	namespace, name string
	key             string
}

func targetOf(k *schema.Kind, namespace, name string) (target, error) {
	if name == "" {
		return target{}, newError(k, name, BadRequest, "Name parameter required.")
	}
	if wrong := path.IsValidPathSegmentName(name); len(wrong) > 0 {
		return target{}, newError(k, name, BadRequest, "Name parameter invalid: %q: %s", name, strings.Join(wrong, ";"))
	}
	if !keyable(k, namespace, name) {
		return target{}, newError(k, name, BadRequest, "%q is no name of a %s in namespace %q", name, k.Kind, namespace)
	}
	return target{k, namespace, name, Key(k, namespace, name)}, nil
}

func (t target) newError(kind ErrorKind, reason string, args ...any) *Error {
	return newError(t.kind, t.name, kind, reason, args...)
}

// stateOf reads what the store holds under a key; nil: nothing.
func (r *Registry) stateOf(t target, kv *store.KV) state {
	if kv == nil {
		return state{live: true}
	}
	it, err := r.itemFrom(t.kind, kv)
	return state{item: it, rev: kv.ModRevision, live: true, bad: err}
}

// read reads the store.
func (r *Registry) read(ctx context.Context, t target) (state, error) {
	kv, _, err := r.store.Get(ctx, t.key, 0)
	if err != nil {
		return state{}, err
	}
	return r.stateOf(t, kv), nil
}

// latestKnown is the latest state known without reading the store; it reads where none is known.
func (r *Registry) latestKnown(ctx context.Context, t target) (state, error) {
	it := r.cached(t.kind, t.namespace, t.name)
	if last := r.results.get(t.key); last != nil && last.Kind == t.kind {
		if it != nil && it.Revision >= last.Revision {
			r.results.drop(t.key)
		} else {
			it = last
		}
	}
	if it == nil {
		return r.read(ctx, t)
	}
	return state{item: it, rev: it.Revision}, nil
}

// results are the objects that this process wrote last, by key: its caches may not have them yet. The zero value is ready.
type results struct {
	mu    sync.Mutex // guards items
	items map[string]*Item
}

// maxResults bounds the results kept. They avoid a conflict where one write follows another; without them there is one
// more round trip to etcd.
const maxResults = 256

func (rs *results) get(key string) *Item {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return rs.items[key]
}

// keep remembers the result of a write; nil: the key is gone.
func (rs *results) keep(key string, it *Item) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if it == nil {
		delete(rs.items, key)
		return
	}
	if prev := rs.items[key]; prev != nil && prev.Revision > it.Revision {
		return
	}
	if rs.items == nil || len(rs.items) >= maxResults {
		rs.items = map[string]*Item{}
	}
	rs.items[key] = it
}

// replaced remembers what the store has in place of what a writer expected. Where that is older than what is remembered,
// either another writer was first, or the store was restored to an earlier state: nothing is remembered then.
func (rs *results) replaced(key string, it *Item) {
	rs.mu.Lock()
	prev := rs.items[key]
	rs.mu.Unlock()
	if it != nil && prev != nil && prev.Revision > it.Revision {
		it = nil
	}
	rs.keep(key, it)
}

// forget forgets every result.
func (rs *results) forget() {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.items = nil
}

func (rs *results) drop(key string) { rs.keep(key, nil) }

// cached is what a cache in use holds; nil: nothing, or nothing is cached.
func (r *Registry) cached(k *schema.Kind, namespace, name string) *Item {
	c := r.reads.caches.of(k)
	if c == nil {
		return nil
	}
	relKey := name
	if k.Namespaced {
		relKey = namespace + "/" + name
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.filled {
		return nil
	}
	return c.view.Get(relKey)
}
