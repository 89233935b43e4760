package schema

import (
	"context"
	"sync"
	"sync/atomic"
)

// Kinds holds the kinds that are served now: a Set that is replaced as a whole. Code that looks up kinds, or does something for each
// of them, holds a *Kinds and calls Set each time, or Follow. It is safe for concurrent use.
type Kinds struct {
	mu      sync.Mutex // held to replace the set
	current atomic.Pointer[snapshot]
}

type snapshot struct {
	set      *Set
	replaced chan struct{} // closed when it is
}

// NewKinds returns the holder of a set.
func NewKinds(set *Set) *Kinds {
	k := &Kinds{}
	k.current.Store(&snapshot{set, make(chan struct{})})
	return k
}

// Set is the kinds as they are now.
func (k *Kinds) Set() *Set { return k.current.Load().set }

// Watch returns the kinds as they are now, and a channel that is closed when that has changed.
func (k *Kinds) Watch() (*Set, <-chan struct{}) {
	s := k.current.Load()
	return s.set, s.replaced
}

// Update replaces the set by what change makes of it. An error of change is returned, and the same set changes nothing.
func (k *Kinds) Update(change func(*Set) (*Set, error)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.current.Load()
	next, err := change(now.set)
	if err != nil || next == now.set {
		return err
	}
	k.current.Store(&snapshot{next, make(chan struct{})})
	close(now.replaced)
	return nil
}

// Add adds a kind, or puts it in the place of the one with its group and plural. The error names a kind it cannot be beside.
func (k *Kinds) Add(kind *Kind) error {
	return k.Update(func(s *Set) (*Set, error) { return s.With(kind) })
}

// Remove removes a kind; one that is not there changes nothing.
func (k *Kinds) Remove(kind *Kind) {
	_ = k.Update(func(s *Set) (*Set, error) { // it returns no error
		if !s.Has(kind) {
			return s, nil
		}
		return s.Without(kind), nil
	})
}

// Follow calls f with the kinds as they are, and after each change, until ctx is done; it returns ctx's error. f is called on one
// goroutine; changes that come while it runs are combined into one call, so that a kind that was removed and added again may be there in
// both of two calls.
func (k *Kinds) Follow(ctx context.Context, f func(now *Set)) error {
	for {
		now, replaced := k.Watch()
		f(now)
		select {
		case <-replaced:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
