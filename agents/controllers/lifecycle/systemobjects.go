package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/scheduling"
)

// systemObject is an object without a namespace that every cluster has.
type systemObject struct {
	kind *schema.Kind
	// object is as it is created; read-only.
	object schema.Object
	// repaired returns what have must be; nil: it may stay. A nil func: any may.
	repaired func(have schema.Object) schema.Object
}

// systemObjects are all of them, by "<plural>/<name>".
func systemObjects() map[string]systemObject {
	all := map[string]systemObject{}
	add := func(o systemObject) { all[o.kind.Plural+"/"+o.object.GetName()] = o }
	for _, class := range scheduling.SystemClasses() {
		add(systemObject{kind: scheduling.PriorityClass, object: class})
	}
	return all
}

// NewSystemObjects creates the objects that every cluster has, at the start and again when they are deleted. Its keys are those of
// systemObjects.
func NewSystemObjects(e *controller.Env) controller.Reconciler {
	all := systemObjects()
	r := controller.Reconciler{
		Run: e.EnqueueOnce(slices.Collect(maps.Keys(all))...),
		Reconcile: func(ctx context.Context, key string) (time.Duration, error) {
			o, ok := all[key]
			if !ok {
				return 0, nil
			}
			return 0, o.reconcile(ctx, e)
		},
	}
	watched := map[*schema.Kind]bool{}
	for _, o := range all {
		if watched[o.kind] {
			continue
		}
		watched[o.kind] = true
		r.Watches = append(r.Watches, controller.Watch{Kind: o.kind, Keys: func(old, current schema.Object) {
			if current == nil {
				current = old
			}
			if key := o.kind.Plural + "/" + current.GetName(); all[key].kind != nil {
				e.Enqueue(key, 0)
			}
		}})
	}
	return r
}

func (o systemObject) reconcile(ctx context.Context, e *controller.Env) error {
	item, err := e.Registry.Get(ctx, o.kind, "", o.object.GetName(), "0")
	if err != nil && !errors.Is(err, registry.NotFound) {
		return fmt.Errorf("getting %s %s: %w", o.kind.Kind, o.object.GetName(), err)
	}
	var have schema.Object
	if err == nil {
		have = item.Object()
	}
	err = e.Execute(ctx, o.plan(have))
	if errors.Is(err, registry.Exists) {
		return nil // it was created meanwhile
	}
	return err
}

// plan decides what to do; have is nil where there is none.
func (o systemObject) plan(have schema.Object) []controller.Action {
	if have == nil {
		return []controller.Action{{Do: controller.Create, Kind: o.kind, Object: o.object, Reason: "every cluster has it"}}
	}
	if o.repaired == nil || have.GetDeletionTimestamp() != nil {
		return nil
	}
	if want := o.repaired(have); want != nil {
		return []controller.Action{{Do: controller.Update, Kind: o.kind, Object: want, Reason: "it must be the same in every cluster"}}
	}
	return nil
}
