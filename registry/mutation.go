package registry

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"gantry/schema"
)

// The decoded objects of a cache are shared: whoever changes one changes it for everybody, and nothing says so. Tests have that detected.

// mutations are the objects handed out that are looked after; nil: none are.
var mutations atomic.Pointer[mutationDetector]

// DetectMutations has it detected from here on, or no longer, that somebody changes the decoded form of an item. It is for tests: what is
// looked after takes memory and time.
func DetectMutations(on bool) {
	if on {
		mutations.CompareAndSwap(nil, new(mutationDetector))
	} else {
		mutations.Store(nil)
	}
}

// Mutations says which objects were changed that were handed out since the last call, by kind and key; nil: none.
func Mutations() error {
	if d := mutations.Load(); d != nil {
		return d.check()
	}
	return nil
}

// maxGuarded bounds how many objects are looked after at a time.
const maxGuarded = 4096

type mutationDetector struct {
	mu      sync.Mutex // guards all
	guarded []guarded  // the oldest first
	faults  []error
}

// guarded is an object as it was when it was handed out.
type guarded struct {
	item *Item
	obj  schema.Object
	was  []byte
}

// guard looks after the decoded form of an item where that is wanted.
func guard(i *Item, obj schema.Object) {
	if d := mutations.Load(); d != nil {
		d.add(i, obj)
	}
}

func (d *mutationDetector) add(i *Item, obj schema.Object) {
	was, err := schema.Encode(obj)
	if err != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.guarded) == maxGuarded {
		d.look(maxGuarded / 4)
	}
	d.guarded = append(d.guarded, guarded{i, obj, was})
}

// look compares the first n objects with what they were, and leaves them. d.mu is held.
func (d *mutationDetector) look(n int) {
	for _, g := range d.guarded[:n] {
		if is, err := schema.Encode(g.obj); err != nil || !bytes.Equal(is, g.was) {
			d.faults = append(d.faults, fmt.Errorf("the cached %s %s was changed:\n was %s\n  is %s", g.item.Kind.Kind, g.item.rest, g.was, is))
		}
	}
	d.guarded = append([]guarded(nil), d.guarded[n:]...)
}

func (d *mutationDetector) check() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.look(len(d.guarded))
	err := errors.Join(d.faults...)
	d.faults = nil
	return err
}
