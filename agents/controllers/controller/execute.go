package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/registry"
	"gantry/registry/safely"
	"gantry/schema"
)

// maxBatch bounds the writes of one plan that are under way at the same time.
const maxBatch = 64

// Execute does a plan in order, stops at the first error, and returns when the caches show what was written.
func (e *Env) Execute(ctx context.Context, plan []Action) error {
	w := &written{versions: map[types.UID]string{}, revisions: map[*schema.Kind]int64{}}
	err := e.executeAll(ctx, plan, w)
	for k, revision := range w.revisions {
		if werr := e.Registry.observed(ctx, k, revision); werr != nil {
			return errors.Join(err, fmt.Errorf("waiting for the cache of %s: %w", k.Plural, werr))
		}
	}
	return err
}

// written is what an execution has written so far.
type written struct {
	mu sync.Mutex // guards both maps
	// versions hold the resourceVersion of what was changed, for a second change of the same object.
	versions map[types.UID]string
	// revisions are what the cache of each kind must show.
	revisions map[*schema.Kind]int64
}

// executeAll starts bulk actions slowly, in batches of 1, 2, 4...: when all of them are bound to fail (a quota, a
// webhook), few are tried.
func (e *Env) executeAll(ctx context.Context, plan []Action, w *written) error {
	size := 1
	for len(plan) > 0 {
		n := 1
		if plan[0].Bulk {
			for n < min(size, len(plan)) && plan[n].Bulk && plan[n].Do == plan[0].Do && plan[n].Kind == plan[0].Kind {
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

func (e *Env) executeBatch(ctx context.Context, batch []Action, w *written) error {
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

func (e *Env) executeOne(ctx context.Context, a Action, w *written) error {
	item, err := e.write(ctx, a, w)
	if errors.Is(err, registry.NotFound) && (a.Do == Delete || a.Do == RemoveFinalizer) {
		return nil
	}
	if err != nil {
		e.recordFailed(ctx, a.Failed, err)
		return fmt.Errorf("%s %s %s: %w", gerund[a.Do], a.Kind.Kind, KeyOf(a.Object), err)
	}
	if item != nil {
		w.mu.Lock()
		w.revisions[a.Kind] = max(w.revisions[a.Kind], item.Revision)
		if uid := a.Object.GetUID(); uid != "" {
			w.versions[uid] = fmt.Sprint(item.Revision)
		}
		w.mu.Unlock()
	}
	level := slog.LevelInfo
	if a.Quiet {
		level = slog.LevelDebug
	}
	e.Log.Log(ctx, level, "object "+pastTense[a.Do], "kind", a.Kind.Kind, "ns", a.Object.GetNamespace(), "name", a.Object.GetName(), "reason", a.Reason)
	if a.Event != nil {
		e.Record(a.Event)
	}
	return nil
}

func (e *Env) recordFailed(ctx context.Context, ev *Event, err error) {
	if ev == nil || ctx.Err() != nil || errors.Is(err, registry.Conflict) || errors.Is(err, registry.Exists) || NamespaceTerminating(err) {
		return
	}
	e.Events.Event(ev.Kind, ev.About, corev1.EventTypeWarning, ev.Reason, "%s%v", ev.Message, err)
}

var gerund = map[Verb]string{Create: "creating", Update: "updating", UpdateStatus: "updating status of", UpdateApproval: "updating approval of", Delete: "deleting", RemoveFinalizer: "removing finalizer of", Scale: "scaling"}

var pastTense = map[Verb]string{Create: "created", Update: "updated", UpdateStatus: "status updated", UpdateApproval: "approval updated", Delete: "deleted", RemoveFinalizer: "finalizer removed", Scale: "scaled"}

// Record records an Event.
func (e *Env) Record(ev *Event) {
	kind := corev1.EventTypeNormal
	if ev.Warning {
		kind = corev1.EventTypeWarning
	}
	e.Events.Event(ev.Kind, ev.About, kind, ev.Reason, "%s", ev.Message)
}

func (e *Env) write(ctx context.Context, a Action, w *written) (*registry.Item, error) {
	obj := a.Object
	w.mu.Lock()
	version, changed := w.versions[obj.GetUID()]
	w.mu.Unlock()
	switch a.Do {
	case Create:
		return e.Registry.Create(ctx, a.Kind, obj, registry.WriteOptions{})
	case Delete:
		o := a.DeleteOptions
		o.UID = string(obj.GetUID())
		item, _, err := e.Registry.Delete(ctx, a.Kind, obj.GetNamespace(), obj.GetName(), o)
		return item, err
	case RemoveFinalizer:
		return e.Registry.Modify(ctx, a.Kind, obj.GetNamespace(), obj.GetName(), func(current schema.Object) (schema.Object, error) {
			current.SetFinalizers(slices.DeleteFunc(current.GetFinalizers(), func(f string) bool { return f == a.Finalizer }))
			return current, nil
		}, registry.WriteOptions{UID: string(obj.GetUID())})
	case Scale:
		return e.Registry.Modify(ctx, a.Kind, obj.GetNamespace(), obj.GetName(), func(current schema.Object) (schema.Object, error) {
			return current, a.Kind.Scale().Set(current, a.Replicas)
		}, registry.WriteOptions{UID: string(obj.GetUID()), Subresource: "scale", Version: a.Kind.Stored()})
	}
	if changed && obj.GetUID() != "" {
		obj = obj.DeepCopyObject().(schema.Object)
		obj.SetResourceVersion(version)
	}
	o := registry.WriteOptions{}
	switch a.Do {
	case UpdateStatus:
		o.Subresource = "status"
	case UpdateApproval:
		o.Subresource = "approval"
	}
	return e.Registry.Update(ctx, a.Kind, obj, o)
}
