package gateway

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/eventstream"
	"gantry/agents/gateway/request"
	"gantry/registry"
)

// watchLife is how long a watch lasts at least when its client names no time; up to twice that, so that watches opened together do not end
// together.
const watchLife = 30 * time.Minute

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
	s := eventstream.New(w, &g.watchers)
	defer s.Close()
	w.Header().Set("Content-Type", framer.ContentType())
	w.WriteHeader(http.StatusOK)
	if s.Flush() != nil {
		return nil
	}
	if err != nil {
		s.Fail(framer, err)
		return nil
	}
	s.Run(ctx, watcher, framer)
	return nil
}
