package controllers

import (
	"fmt"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
)

// keysFunc turns a change into keys of one controller; see controller.Watch.
type keysFunc = func(old, current schema.Object)

// watches are what the controllers of one term watch.
type watches struct {
	of    map[*schema.Kind][]keysFunc
	every []func(*schema.Kind) keysFunc
}

// add adds what a row's controller watches. undeclared is told of kinds that the row does not read; these are not watched.
func (w *watches) add(row *controller.Controller, c controller.Reconciler, undeclared func(error)) {
	if w.of == nil {
		w.of = map[*schema.Kind][]keysFunc{}
	}
	for _, watch := range c.Watches {
		if !row.Reads.Has(watch.Kind) {
			undeclared(fmt.Errorf("controller %s does not declare that it reads %s, which it watches", row.Name, watch.Kind.Plural))
			continue
		}
		w.of[watch.Kind] = append(w.of[watch.Kind], watch.Keys)
	}
	if c.WatchEvery != nil {
		w.every = append(w.every, c.WatchEvery)
	}
}

// handlers are the handlers of the kinds that are watched by any controller.
func (w *watches) handlers(set *schema.Set) map[*schema.Kind]func(registry.Change) {
	handlers := map[*schema.Kind]func(registry.Change){}
	for _, k := range set.All {
		if h := w.handler(k); h != nil {
			handlers[k] = h
		}
	}
	return handlers
}

// handler tells every change of a kind to all controllers that watch it, so that it is followed once and decoded once. nil: none does.
func (w *watches) handler(k *schema.Kind) func(registry.Change) {
	all := w.of[k][:len(w.of[k]):len(w.of[k])]
	for _, keys := range w.every {
		if f := keys(k); f != nil {
			all = append(all, f)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return func(c registry.Change) {
		var old, current schema.Object
		if c.Old != nil {
			old = c.Old.Object()
		}
		if c.New != nil {
			current = c.New.Object()
		}
		for _, f := range all {
			f(old, current)
		}
	}
}
