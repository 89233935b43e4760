// Package reinvoke tells which webhooks and policies with the reinvocation policy IfNeeded run again in the second run of the first phase:
// those after which the object has changed.
package reinvoke

import (
	"k8s.io/apimachinery/pkg/api/equality"

	"gantry/registry/admit"
	"gantry/schema"
)

// Turns is what one rule knows in both runs of the first phase of a request. What it calls has an ID, which is the same in both.
type Turns struct {
	request *admit.Request
	any     bool
	called  map[string]bool // what wants to be called again after a change, and had no change after it yet
	again   map[string]bool // what had one
	last    schema.Object   // the object at the end of the first run
}

// Begin begins a run of the rule that is being called; nil where nothing was called in the first one.
func Begin(q *admit.Request) *Turns {
	if !q.Repeated {
		return &Turns{request: q, called: map[string]bool{}, again: map[string]bool{}}
	}
	t, ok := q.Remembered().(*Turns)
	if !ok {
		return nil
	}
	if !equality.Semantic.DeepEqual(t.last, q.Object) {
		t.changed()
	}
	return t
}

// Has tells whether it is the turn of an ID.
func (t *Turns) Has(id string) bool { return !t.request.Repeated || t.again[id] }

// Called records a call of an ID, which has changed the object or not. A change asks for a second run.
func (t *Turns) Called(id string, changed, ifNeeded bool) {
	t.any = true
	if changed {
		t.changed()
		if !t.request.Repeated {
			t.request.MutateAgain()
		}
	}
	if ifNeeded {
		t.called[id] = true
	}
}

// changed tells that the object has changed.
func (t *Turns) changed() {
	for id := range t.called {
		t.again[id] = true
	}
	clear(t.called)
}

// End ends a run.
func (t *Turns) End() {
	if !t.any || t.request.Repeated {
		return
	}
	if t.request.Object != nil {
		t.last = t.request.Object.DeepCopyObject().(schema.Object)
	}
	t.request.Remember(t)
}
