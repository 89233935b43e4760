// Package mutation detects, in tests, changes of shared objects. The decoded objects of a cache are shared: a change of one is a change for
// all of its readers.
package mutation

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"gantry/schema"
)

// current is the detector in use; nil: none.
var current atomic.Pointer[detector]

// Detect switches the detection on or off. It is for tests: it takes memory and time for each object.
func Detect(on bool) {
	if on {
		current.CompareAndSwap(nil, new(detector))
	} else {
		current.Store(nil)
	}
}

// Changed says which objects were changed since the last call, by kind and key; nil: none.
func Changed() error {
	if d := current.Load(); d != nil {
		return d.changed()
	}
	return nil
}

// Watch remembers what an object is when it is handed out, where detection is on. key is its key after the kind's prefix.
func Watch(k *schema.Kind, key string, obj schema.Object) {
	if d := current.Load(); d != nil {
		d.add(k, key, obj)
	}
}

// maxWatched bounds how many objects are watched at a time.
const maxWatched = 4096

type detector struct {
	mu      sync.Mutex // guards all
	watched []watched  // the oldest first
	changes []error
}

// watched is an object as it was when it was handed out.
type watched struct {
	kind *schema.Kind
	key  string
	obj  schema.Object
	was  []byte
}

func (d *detector) add(k *schema.Kind, key string, obj schema.Object) {
	was, err := schema.Encode(obj)
	if err != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.watched) == maxWatched {
		d.compare(maxWatched / 4)
	}
	d.watched = append(d.watched, watched{k, key, obj, was})
}

// compare compares the first n objects with what they were, and forgets them. d.mu is held.
func (d *detector) compare(n int) {
	for _, w := range d.watched[:n] {
		if is, err := schema.Encode(w.obj); err != nil || !bytes.Equal(is, w.was) {
			d.changes = append(d.changes, fmt.Errorf("the cached %s %s was changed:\n was %s\n  is %s", w.kind.Kind, w.key, w.was, is))
		}
	}
	d.watched = append([]watched(nil), d.watched[n:]...)
}

func (d *detector) changed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.compare(len(d.watched))
	err := errors.Join(d.changes...)
	d.changes = nil
	return err
}
