package registry

import (
	"context"
	"sync"

	"gantry/registry/store"
	"gantry/schema"
)

// state is what a write knows of its key.
type state struct {
	item *Item // nil: absent, or unreadable
	rev  int64 // the key's mod revision, 0: absent
	// live tells that the store said so during this very write. What is decided on anything older, save a swap that
	// the store checks, must be decided again on a live state: a cache may be behind.
	live bool
	bad  error // why item is nil although the key is there
}

// target is the object that a write is about.
type target struct {
	kind            *schema.Kind
	namespace, name string
	key             string
}

func targetOf(k *schema.Kind, namespace, name string) (target, error) {
	if !keyable(k, namespace, name) {
		return target{}, fault(k, name, BadRequest, "%q is no name of a %s in namespace %q", name, k.Kind, namespace)
	}
	return target{k, namespace, name, objectKey(k, namespace, name)}, nil
}

func (t target) fault(kind ErrorKind, reason string, args ...any) *Error {
	return fault(t.kind, t.name, kind, reason, args...)
}

// stateOf reads what the store holds under a key; nil: nothing.
func (r *Registry) stateOf(t target, kv *store.KV) state {
	if kv == nil {
		return state{live: true}
	}
	it, err := r.itemFrom(t.kind, kv)
	return state{item: it, rev: kv.ModRevision, live: true, bad: err}
}

// read asks the store.
func (r *Registry) read(ctx context.Context, t target) (state, error) {
	kv, _, err := r.store.Get(ctx, t.key, 0)
	if err != nil {
		return state{}, err
	}
	return r.stateOf(t, kv), nil
}

// guess is the newest state known without asking the store; it asks where nothing is known.
func (r *Registry) guess(ctx context.Context, t target) (state, error) {
	it := r.peek(t.kind, t.namespace, t.name)
	if own := r.writes.get(t.key); own != nil && own.Kind == t.kind {
		if it != nil && it.Revision >= own.Revision {
			r.writes.drop(t.key)
		} else {
			it = own
		}
	}
	if it == nil {
		return r.read(ctx, t)
	}
	return state{item: it, rev: it.Revision}, nil
}

// writes is what the writes of one process share: the results its caches may not have yet, the queues of keys that
// several writers fight for, and the writes on their way that name what they replace. The zero value is ready.
type writes struct {
	mu      sync.Mutex // guards all
	own     map[string]*Item
	gates   map[string]*gate
	flights map[string]*flight
}

// ownLimit bounds the results kept. They spare a conflict where one write follows another; losing them costs a
// trip to etcd, no more.
const ownLimit = 256

func (w *writes) get(key string) *Item {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.own[key]
}

// keep remembers the result of a write; nil: the key is gone.
func (w *writes) keep(key string, it *Item) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if it == nil {
		delete(w.own, key)
		return
	}
	if prev := w.own[key]; prev != nil && prev.Revision > it.Revision {
		return
	}
	if w.own == nil || len(w.own) >= ownLimit {
		w.own = map[string]*Item{}
	}
	w.own[key] = it
}

// met remembers what the store holds in place of what a writer expected. Where that is older than what is remembered,
// either another writer was quicker, or the store was put back to an earlier state: nothing is remembered then.
func (w *writes) met(key string, it *Item) {
	w.mu.Lock()
	prev := w.own[key]
	w.mu.Unlock()
	if it != nil && prev != nil && prev.Revision > it.Revision {
		it = nil
	}
	w.keep(key, it)
}

// forget forgets every result.
func (w *writes) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.own = nil
}

func (w *writes) drop(key string) { w.keep(key, nil) }

// gate is a queue of writers of one key: whoever holds its token may try. It exists while somebody contends.
type gate struct {
	token chan struct{}
	users int // guarded by writes.mu
}

// contended tells whether writers queue for a key.
func (w *writes) contended(key string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gates[key] != nil
}

// enter waits for the key's token; leave gives it back. Go serves the receivers of a channel in the order they
// came, so nobody starves.
func (w *writes) enter(ctx context.Context, key string) (leave func(), err error) {
	w.mu.Lock()
	g := w.gates[key]
	if g == nil {
		if w.gates == nil {
			w.gates = map[string]*gate{}
		}
		g = &gate{token: make(chan struct{}, 1)}
		g.token <- struct{}{}
		w.gates[key] = g
	}
	g.users++
	w.mu.Unlock()
	done := func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if g.users--; g.users == 0 {
			delete(w.gates, key)
		}
	}
	select {
	case <-g.token:
		return func() { g.token <- struct{}{}; done() }, nil
	case <-ctx.Done():
		done()
		return nil, ctxError(ctx)
	}
}

// peek is what a cache in use holds; nil: nothing, or nothing is cached.
func (r *Registry) peek(k *schema.Kind, namespace, name string) *Item {
	c := r.reads.caches.of(k)
	if c == nil {
		return nil
	}
	rest := name
	if k.Namespaced {
		rest = namespace + "/" + name
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.filled {
		return nil
	}
	return c.view.byKey[rest]
}
