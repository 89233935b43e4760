package registry

import (
	"context"
	"errors"

	"gantry/registry/safely"
	"gantry/schema"
	"gantry/schema/apply"
)

// Application is a configuration to be applied to an object (server-side apply).
type Application struct {
	// Config is the JSON of an object of WriteOptions.Version, or of the subresource's body, with the fields that its writer has an opinion about.
	Config []byte
	// Force takes over fields that others manage with other values, which is a conflict without it.
	Force bool
	// Check, where set, is called with the object that this makes, before it is prepared, and the one it replaces (nil: it is new). Of a scale it
	// gets the Scale. It may complete obj; its error becomes Apply's.
	Check func(obj, old schema.Object) error
}

// Apply merges a configuration into an object, or creates it, and repeats on conflict as Modify does. o.FieldManager names the writer, and
// o.Create is called before the object is created. Errors of the configuration, conflicts of managers among them, are
// *apierrors.StatusError.
func (r *Registry) Apply(ctx context.Context, k *schema.Kind, namespace, name string, a Application, o WriteOptions) (it *Item, created bool, err error) {
	t, err := targetOf(k, namespace, name)
	if err != nil {
		return nil, false, err
	}
	if o.Version == nil {
		o.Version = k.Stored()
	}
	rev, err := revisionOf(t, o.ResourceVersion)
	if err != nil {
		return nil, false, err
	}
	w := &write{target: t, options: o, want: preconditions{rev: rev, uid: o.UID}, applied: true}
	w.patch = func(current *Item) (schema.Object, error) {
		rules := k.RulesOf(o.Version)
		live, err := current.ObjectAs(ctx, rules.Stored())
		if err != nil {
			return nil, err
		}
		if s := rules.Subresource(o.Subresource); s != nil && s.Scale != nil {
			return r.mergeScale(ctx, s.Scale, r.applyWrite(rules, o), a, live)
		}
		return r.merge(ctx, r.applyWrite(rules, o), a, live)
	}
	if o.Subresource == "" {
		w.absent = func() (*Item, error) {
			it, err := r.createApplied(ctx, w, a)
			created = err == nil
			return it, err
		}
	}
	it, err = r.write(ctx, w)
	return it, created, err
}

// applyWrite says to package apply what is written and by whom.
func (r *Registry) applyWrite(k *schema.Kind, o WriteOptions) apply.Write {
	manager := o.FieldManager
	if manager == "" {
		manager = o.Client
	}
	if manager == "" {
		manager = r.cfg.Agent
	}
	return apply.Write{Kind: k, Version: o.Version, Subresource: o.Subresource, Manager: manager}
}

// merge applies a configuration to live; nil: there is none.
func (r *Registry) merge(ctx context.Context, w apply.Write, a Application, live schema.Object) (obj schema.Object, err error) {
	err = safely.Call(func() error {
		obj, err = r.types.Apply(ctx, w, live, a.Config, a.Force)
		return err
	})
	if err == nil && a.Check != nil {
		err = a.Check(obj, live)
	}
	return obj, err
}

// mergeScale applies a Scale to live.
func (r *Registry) mergeScale(ctx context.Context, s *schema.Scale, w apply.Write, a Application, live schema.Object) (obj schema.Object, err error) {
	err = safely.Call(func() error {
		scale, entries, err := r.types.ApplyScale(ctx, w, live, a.Config, a.Force)
		if err != nil {
			return err
		}
		if a.Check != nil {
			if err := a.Check(scale, live); err != nil {
				return err
			}
		}
		obj = deepCopy(live)
		obj.SetManagedFields(entries)
		return s.Set(obj, scale.Spec.Replicas)
	})
	return obj, err
}

// createApplied creates the object that a configuration alone makes.
func (r *Registry) createApplied(ctx context.Context, w *write, a Application) (*Item, error) {
	if w.want.rev != 0 {
		return nil, w.newError(Conflict, modified)
	}
	obj, err := r.merge(ctx, r.applyWrite(w.kind.RulesOf(w.options.Version), w.options), a, nil)
	if err != nil {
		return nil, err
	}
	uid := w.want.uid
	if obj.GetUID() != "" {
		uid = string(obj.GetUID())
	}
	if uid != "" {
		return nil, w.newError(Conflict, "uid mismatch: the provided object specified uid %s, and no existing object was found", uid)
	}
	if w.options.Create != nil {
		if err := w.options.Create(); err != nil {
			return nil, err
		}
	}
	o := w.options
	o.applied = true
	return r.create(ctx, w.kind, obj, o)
}

// manage brings the managedFields of obj, which is to replace old (nil: it is new), up to date. They never keep an object from being
// written: what cannot be recorded is logged.
func (r *Registry) manage(ctx context.Context, k *schema.Kind, obj, old schema.Object, o WriteOptions) {
	if apply.Tracked(old, obj) {
		r.recordManager(ctx, r.applyWrite(k, o), obj, old)
	}
}

func (r *Registry) recordManager(ctx context.Context, w apply.Write, obj, old schema.Object) {
	err := safely.Call(func() error { return r.types.Update(ctx, w, old, obj) })
	if err != nil {
		obj.SetManagedFields(nil)
		r.cfg.Log.Warn("managed fields removed", "kind", w.Kind.Kind, "ns", obj.GetNamespace(), "name", obj.GetName(), "err", err)
	}
}

// encodeFitting is encode. managedFields that make the object too large are removed, unless it is applied.
func (u *guardedUpdate) encodeFitting(limit int) ([]byte, error) {
	value, err := u.encode(limit)
	if errors.Is(err, TooLarge) && !u.applied && len(u.obj.GetManagedFields()) > 0 {
		u.obj.SetManagedFields(nil)
		return u.encode(limit)
	}
	return value, err
}

// changesNothing tells whether value, of u.obj, is what is stored, but for the times in managedFields. They are then left as they were: a
// write that changes nothing stores nothing.
func (u *guardedUpdate) changesNothing(value []byte, limit int) bool {
	if u.unchanged(value) {
		return true
	}
	if u.old.item == nil || len(u.obj.GetManagedFields()) == 0 {
		return false
	}
	old, err := u.old.item.object()
	if err != nil || !apply.Same(old.GetManagedFields(), u.obj.GetManagedFields()) {
		return false
	}
	now, stored := u.obj.GetManagedFields(), u.stored
	u.obj.SetManagedFields(old.GetManagedFields())
	if value, err := u.encode(limit); err == nil && u.unchanged(value) {
		return true
	}
	u.obj.SetManagedFields(now)
	u.stored = stored
	return false
}
