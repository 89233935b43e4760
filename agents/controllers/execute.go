package controllers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"gantry/registry"
	"gantry/registry/safely"
	"gantry/schema"
)

// maxBatch bounds the writes of one plan that are under way at the same time.
const maxBatch = 64

// execute does a plan in order, stops at the first error, and returns when the caches show what was written.
func (e *env) execute(ctx context.Context, plan []action) error {
	w := &writes{versions: map[types.UID]string{}, seen: map[*schema.Kind]int64{}}
	err := e.executeAll(ctx, plan, w)
	for k, revision := range w.seen {
		if oerr := e.r.Observed(ctx, k, revision); oerr != nil {
			return errors.Join(err, fmt.Errorf("waiting for the cache of %s: %w", k.Plural, oerr))
		}
	}
	return err
}

// writes is what an execution has written so far.
type writes struct {
	mu sync.Mutex // guards both maps
	// versions hold the resourceVersion of what was changed, for a second change of the same object.
	versions map[types.UID]string
	seen     map[*schema.Kind]int64
}

// executeAll starts bulk actions slowly, in batches of 1, 2, 4...: when all of them are bound to fail (a quota, a
// webhook), few are tried.
func (e *env) executeAll(ctx context.Context, plan []action, w *writes) error {
	size := 1
	for len(plan) > 0 {
		n := 1
		if plan[0].bulk {
			for n < min(size, len(plan)) && plan[n].bulk && plan[n].do == plan[0].do {
				n++
			}
			size = min(2*size, maxBatch)
		} else {
			size = 1
		}
		if err := e.executeBatch(ctx, plan[:n], w); err != nil {
			return err
		}
		plan = plan[n:]
	}
	return nil
}

func (e *env) executeBatch(ctx context.Context, batch []action, w *writes) error {
	if len(batch) == 1 {
		return e.executeOne(ctx, batch[0], w)
	}
	errs := make([]error, len(batch))
	var wg sync.WaitGroup
	for i, a := range batch {
		wg.Go(func() {
			errs[i] = safely.Call(func() error { return e.executeOne(ctx, a, w) })
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *env) executeOne(ctx context.Context, a action, w *writes) error {
	item, err := e.write(ctx, a, w)
	if errors.Is(err, registry.NotFound) && a.do == remove {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s %s %s: %w", gerund[a.do], a.kind.Kind, nameOf(a.obj), err)
	}
	if item != nil {
		w.mu.Lock()
		w.seen[a.kind] = max(w.seen[a.kind], item.Revision)
		if uid := a.obj.GetUID(); uid != "" {
			w.versions[uid] = fmt.Sprint(item.Revision)
		}
		w.mu.Unlock()
	}
	level := slog.LevelInfo
	if a.quiet {
		level = slog.LevelDebug
	}
	e.log.Log(ctx, level, "object "+pastTense[a.do], "kind", a.kind.Kind, "ns", a.obj.GetNamespace(), "name", a.obj.GetName(), "reason", a.reason)
	if n := a.event; n != nil {
		e.record(n)
	}
	return nil
}

var gerund = map[verb]string{create: "creating", update: "updating", updateStatus: "updating status of", remove: "deleting"}

var pastTense = map[verb]string{create: "created", update: "updated", updateStatus: "status updated", remove: "deleted"}

func (e *env) record(n *note) {
	kind := "Normal"
	if n.warning {
		kind = "Warning"
	}
	e.events.Event(n.kind, n.about, kind, n.reason, "%s", n.message)
}

func (e *env) write(ctx context.Context, a action, w *writes) (*registry.Item, error) {
	obj := a.obj
	w.mu.Lock()
	version, again := w.versions[obj.GetUID()]
	w.mu.Unlock()
	switch a.do {
	case create:
		return e.r.Create(ctx, a.kind, obj, registry.WriteOptions{})
	case remove:
		o := a.options
		o.UID = string(obj.GetUID())
		item, _, err := e.r.Delete(ctx, a.kind, obj.GetNamespace(), obj.GetName(), o)
		return item, err
	}
	if again && obj.GetUID() != "" {
		obj = obj.DeepCopyObject().(schema.Object)
		obj.SetResourceVersion(version)
	}
	o := registry.WriteOptions{}
	if a.do == updateStatus {
		o.Subresource = "status"
	}
	return e.r.Update(ctx, a.kind, obj, o)
}
