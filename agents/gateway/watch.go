package gateway

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/registry"
)

const (
	// watchLife is how long a watch lasts at least when its client names no time; up to twice that, so that
	// watches opened together do not end together.
	watchLife = 30 * time.Minute
	// watchStall is how long one write to a watcher may take: a client that reads nothing is cut off.
	watchStall = 30 * time.Second
	// watchBuffer is the size up to which a watcher keeps its buffer between writes, and from which it sends it off.
	watchBuffer = 32 << 10 // bytes
	// watchCopy is the size from which an object is not copied into the buffer.
	watchCopy = 8 << 10 // bytes
)

// watch streams the changes of a collection. One goroutine serves it: it takes every event that is due, writes them in one
// piece and flushes once.
func (g *gateway) watch(w http.ResponseWriter, r *request.Request) error {
	o, life, err := request.ReadWatchOptions(r.Query)
	if err != nil {
		return err
	}
	if o.Fields, err = r.NarrowFields(o.Fields); err != nil {
		return err
	}
	framer, err := encode.NewEventFramer(r)
	if err != nil {
		return err
	}
	if life <= 0 {
		life = watchLife + rand.N(watchLife)
	}
	ctx, cancel := context.WithTimeout(r.Context(), life)
	defer cancel()
	defer context.AfterFunc(request.Stopping(ctx), cancel)()
	o.Version = r.Resource.Version
	watcher, err := g.reg.Watch(ctx, r.Kind, r.Scope(), o)
	if err != nil && !errors.Is(err, registry.Expired) {
		return err
	}
	s := newEventStream(w, &g.watchers)
	defer s.close()
	w.Header().Set("Content-Type", framer.ContentType())
	w.WriteHeader(http.StatusOK)
	if s.Flush() != nil {
		return nil
	}
	if err != nil {
		s.fail(framer, err)
		return nil
	}
	s.run(ctx, watcher, framer)
	return nil
}
