package controllers

import (
	"context"
	"fmt"
	"slices"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/vanished"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

// keysFunc turns a change into keys of one controller; see controller.Watch.
type keysFunc = func(old, current schema.Object)

// watches are what the controllers of one term watch.
type watches struct {
	of    map[*schema.Kind][]keysFunc
	every []func(*schema.Kind) keysFunc
	// vanished are pods whose deletion is not seen yet; nil: none.
	vanished *vanished.Pods
}

// add adds what a row's controller watches. undeclared is called for kinds that the row does not read; these are not watched.
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

// follow follows the kinds that are watched until ctx is done, also those that are served later. It calls followed when it has the first
// state of each kind that is served at the beginning.
func (w *watches) follow(ctx context.Context, r *registry.Registry, followed func()) {
	if len(w.every) > 0 {
		_ = r.FollowKinds(ctx, w.handler, followed) // its only error is ctx's
		return
	}
	handlers := map[*schema.Kind]func(registry.Change){}
	for k := range w.of {
		handlers[k] = w.handler(k)
	}
	_ = r.FollowAll(ctx, handlers, followed)
}

// handler passes every change of a kind to all controllers that watch it, so that it is followed once and decoded once.
func (w *watches) handler(k *schema.Kind) func(registry.Change) {
	all := slices.Clone(w.of[k])
	for _, keys := range w.every {
		if f := keys(k); f != nil {
			all = append(all, f)
		}
	}
	if len(all) == 0 {
		return func(registry.Change) {}
	}
	handle := func(c registry.Change) {
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
	if k == core.Pod && w.vanished != nil {
		return w.vanished.Follower(handle)
	}
	return handle
}
