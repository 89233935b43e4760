package vanished

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"gantry/registry"
	"gantry/registry/bynode"
	"gantry/schema/core"
)

// Pods are the pods that are kept. Safe for concurrent use.
type Pods struct {
	copies *bynode.Copies
	ready  chan struct{} // closed when the pods are kept that had vanished before
	first  sync.Once
	count  atomic.Int64 // of pods

	tell   sync.Mutex            // held while follow is called
	follow func(registry.Change) // nil: nobody follows

	mu   sync.Mutex // guards pods
	pods map[string]*registry.Item
}

// New returns no pods. copies are those of the Repairer whose observer calls Listed and Gone.
func New(copies *bynode.Copies) *Pods {
	return &Pods{copies: copies, ready: make(chan struct{}), pods: map[string]*registry.Item{}}
}

// Copies are those given to New.
func (p *Pods) Copies() *bynode.Copies { return p.copies }

// Ready is closed when the pods that had vanished before New are kept.
func (p *Pods) Ready() <-chan struct{} { return p.ready }

func key(it *registry.Item) string { return it.Namespace + "/" + it.Name }

// Removed keeps a pod that the cache loses, where it may have vanished: see registry.OnRemoved. Pods without a node have no
// containers, and one that is being deleted is to go.
func (p *Pods) Removed(it *registry.Item) {
	if it.Deleting() || it.Field("spec.nodeName") == "" || !p.copies.Has(it.Namespace, it.Name, it.Revision) {
		return
	}
	p.mu.Lock()
	p.pods[key(it)] = it
	p.count.Store(int64(len(p.pods)))
	p.mu.Unlock()
	if !p.copies.Has(it.Namespace, it.Name, it.Revision) { // Gone may have been called in between
		p.take(key(it))
	}
}

// Listed keeps the pods that had vanished before they could be seen to go, and forgets those that have no copy; see bynode.Observer.
func (p *Pods) Listed(vanished []*registry.Item) {
	p.tell.Lock()
	defer p.tell.Unlock()
	for _, it := range vanished {
		if p.get(it.Namespace, it.Name) != nil {
			continue
		}
		if p.Removed(it); p.follow != nil && p.get(it.Namespace, it.Name) != nil {
			p.follow(registry.Change{New: it})
		}
	}
	for _, it := range p.all() {
		if !p.copies.Has(it.Namespace, it.Name, it.Revision) {
			p.forget(it.Namespace, it.Name)
		}
	}
	p.first.Do(func() { close(p.ready) })
}

// Gone tells the follower that a pod is deleted, where it is kept; see bynode.Observer.
func (p *Pods) Gone(namespace, name string) {
	if p.count.Load() == 0 {
		return
	}
	p.tell.Lock()
	defer p.tell.Unlock()
	p.forget(namespace, name)
}

// forget is Gone; p.tell is held.
func (p *Pods) forget(namespace, name string) {
	if it := p.take(namespace + "/" + name); it != nil && p.follow != nil {
		p.follow(registry.Change{Old: it})
	}
}

// Follower is f for the changes of pods, except that it is not called for the deletion of a pod that is kept before that is Gone. f is called by one
// goroutine at a time. There is one follower.
func (p *Pods) Follower(f func(registry.Change)) func(registry.Change) {
	p.tell.Lock()
	defer p.tell.Unlock()
	p.follow = f
	return func(c registry.Change) {
		p.tell.Lock()
		defer p.tell.Unlock()
		if c.New == nil {
			if kept := p.get(c.Old.Namespace, c.Old.Name); kept == nil || kept.UID() != c.Old.UID() {
				f(c)
			}
			return
		}
		kept := p.take(key(c.New))
		if kept != nil && c.Old == nil && kept.UID() != c.New.UID() {
			f(registry.Change{Old: kept})
		}
		f(c) // a pod that is put back is new: what was not possible meanwhile is tried again
	}
}

// get returns a pod that is kept; nil: it is not.
func (p *Pods) get(namespace, name string) *registry.Item {
	if p.count.Load() == 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pods[namespace+"/"+name]
}

func (p *Pods) take(key string) *registry.Item {
	if p.count.Load() == 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	it := p.pods[key]
	delete(p.pods, key)
	p.count.Store(int64(len(p.pods)))
	return it
}

func (p *Pods) all() []*registry.Item {
	if p.count.Load() == 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.pods))
}

// Get is read, a read of one pod, or the pod that is kept where read does not find it.
func (p *Pods) Get(namespace, name string, read func() (*registry.Item, error)) (*registry.Item, error) {
	before := p.get(namespace, name)
	it, err := read()
	if err == nil || !errors.Is(err, registry.NotFound) {
		return it, err
	}
	if kept := cmp.Or(p.get(namespace, name), before); kept != nil {
		return kept, nil
	}
	return nil, err
}

// List is read, a list of pods, with those that are kept and that it selects. A page of a list is returned as it is.
func (p *Pods) List(namespace string, o registry.ListOptions, read func() (registry.List, error)) (registry.List, error) {
	if o.Limit != 0 || o.Continue != "" || o.ResourceVersionMatch != "" {
		return read()
	}
	before := p.all()
	l, err := read()
	after := p.all()
	if err != nil || len(before)+len(after) == 0 {
		return l, err
	}
	kept, err := registry.Select(core.Pod, namespace, o, append(before, after...))
	if err != nil {
		return registry.List{}, err
	}
	l.Items = union(kept, l.Items)
	return l, nil
}

// Owned is read, the pods that name uid among their owners, with those that are kept.
func (p *Pods) Owned(uid string, read func() ([]*registry.Item, error)) ([]*registry.Item, error) {
	before := p.all()
	items, err := read()
	after := p.all()
	if err != nil || len(before)+len(after) == 0 {
		return items, err
	}
	kept := slices.DeleteFunc(append(before, after...), func(it *registry.Item) bool { return !it.OwnedBy(uid) })
	return union(kept, items), nil
}

// union returns the items of both lists in key order; of two with one key that of the second list.
func union(first, second []*registry.Item) []*registry.Item {
	if len(first) == 0 {
		return second
	}
	byKey := make(map[string]*registry.Item, len(first)+len(second))
	for _, list := range [][]*registry.Item{first, second} {
		for _, it := range list {
			byKey[key(it)] = it
		}
	}
	return slices.SortedFunc(maps.Values(byKey), func(a, b *registry.Item) int { return strings.Compare(key(a), key(b)) })
}
