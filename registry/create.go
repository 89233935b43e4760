package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/registry/admit"
	"gantry/registry/objectmeta"
	"gantry/schema"
)

// nameTries is how many generated names are tried.
const nameTries = 8

// Create stores a new object: Exists when the name is taken. obj is not changed, unless o.Decoded is set.
func (r *Registry) Create(ctx context.Context, k *schema.Kind, obj schema.Object, o WriteOptions) (*Item, error) {
	o = o.inVersionOf(k, obj)
	if rev, err := parseNumber(obj.GetResourceVersion()); err == nil && rev != 0 && !o.DryRun { // no number counts as none
		return nil, newError(k, obj.GetName(), BadRevision, "resourceVersion should not be set on objects to be created")
	}
	if obj.GetName() != "" || obj.GetGenerateName() == "" {
		if !o.Decoded {
			obj = deepCopy(obj)
		}
		if obj.GetName() == "" && k.NamedByUUID {
			obj.SetName(string(uuid.NewUUID()))
		}
		return r.create(ctx, k, obj, o)
	}
	for try := 1; ; try++ {
		named := deepCopy(obj)
		named.SetName(objectmeta.GenerateName(obj.GetGenerateName()))
		it, err := r.create(ctx, k, named, o)
		switch {
		case !errors.Is(err, Exists):
			return it, err
		case try == nameTries:
			return nil, newError(k, named.GetName(), Exists,
				"%s %q already exists, the server was not able to generate a unique name for the object", k.GR(), named.GetName())
		}
	}
}

// create stores obj, which belongs to the registry and has its name.
func (r *Registry) create(ctx context.Context, k *schema.Kind, obj schema.Object, o WriteOptions) (*Item, error) {
	if err := r.checkServed(k); err != nil {
		return nil, err
	}
	if k.RefuseCreate != "" {
		return nil, newError(k, obj.GetName(), NotAllowed, k.RefuseCreate)
	}
	texts, sent := dropRepeatedOwners(obj, false, nil), obj.GetResourceVersion()
	rules := k.RulesOf(o.Version)
	o.warn(rules, nil, nil, texts)
	a, err := r.prepareCreate(ctx, k, obj, o)
	if err != nil {
		return nil, err
	}
	t, err := targetOf(k, obj.GetNamespace(), obj.GetName())
	if err != nil {
		return nil, err
	}
	o.warn(rules, obj, nil, append(texts, a.warnings()...))
	u := &guardedUpdate{target: t, obj: obj, version: rules.Stored(), dryRun: o.DryRun, decoded: o.Decoded, old: state{live: true}, admission: a}
	if o.DryRun {
		now, err := r.read(ctx, t)
		if err != nil {
			return nil, about(k, t.name, err)
		}
		if now.rev != 0 {
			return nil, exists(t, now)
		}
	}
	it, conflict, err := r.execute(ctx, u)
	switch {
	case err != nil:
		return nil, err
	case conflict != nil:
		return nil, exists(t, *conflict)
	case o.DryRun && sent != "":
		return withResourceVersion(it, sent)
	}
	return it, nil
}

// withResourceVersion is what a trial made, with the resourceVersion that the client sent, as Kubernetes answers.
func withResourceVersion(it *Item, sent string) (*Item, error) {
	obj, err := it.copyObject()
	if err != nil {
		return nil, err
	}
	obj.SetResourceVersion(sent)
	data, err := schema.Encode(obj)
	if err != nil {
		return nil, err
	}
	return itemOf(it.Kind, obj, data, 0, true), nil
}

// prepareCreate turns obj, as a client sent it, into what is stored (but for its version), or returns every error of it.
func (r *Registry) prepareCreate(ctx context.Context, k *schema.Kind, obj schema.Object, o WriteOptions) (*admission, error) {
	k = k.RulesOf(o.Version)
	if err := withinBounds(k, obj, nil); err != nil {
		return nil, err
	}
	applyTo(k.Default, obj)
	if !o.applied {
		r.manage(ctx, k, obj, nil, o)
	}
	var a *admission
	if namespace, name := obj.GetNamespace(), obj.GetName(); keyable(k, namespace, name) {
		if a = r.admissionOfWrite(ctx, admit.Create, target{kind: k, namespace: namespace, name: name}, o); a != nil {
			a.Object = obj
		}
	}
	if err := a.mutate(ctx); err != nil {
		return nil, err
	}
	objectmeta.Create(obj, time.Now())
	applyTo(k.PrepareCreate, obj)
	if set := r.hooksOf(k).setCreator; set != nil {
		set(obj, r.userOf(ctx))
	}
	if err := r.complete(k, obj, nil); err != nil {
		return nil, err
	}
	if err := invalid(k, obj.GetName(), schema.ValidateCreate(k, o.Version, obj)); err != nil {
		return nil, err
	}
	return a, a.validate(ctx, false)
}

// complete sets the fields of obj that depend on this cluster; old is nil where obj is new. Its errors come before all others, and alone.
func (r *Registry) complete(k *schema.Kind, obj, old schema.Object) error {
	complete := r.hooksOf(k).complete
	if complete == nil {
		return nil
	}
	return invalid(k, obj.GetName(), complete(r, obj, old))
}

// exists is the error of a name that is taken. The text says where the object is being deleted, as Kubernetes' does.
func exists(t target, by state) error {
	e := t.newError(Exists, "")
	if by.item != nil && by.item.deleting {
		e.Reason = fmt.Sprintf("object is being deleted: %s %q already exists", t.kind.GR(), t.name)
	}
	return e
}

// deepCopy is for objects that must not be changed: those of callers and of caches.
func deepCopy(obj schema.Object) schema.Object { return obj.DeepCopyObject().(schema.Object) }

func applyTo(f func(schema.Object), obj schema.Object) {
	if f != nil {
		f(obj)
	}
}

// invalid is the error of an object with errors; nil without any.
func invalid(k *schema.Kind, name string, errs field.ErrorList) error {
	if len(errs) == 0 {
		return nil
	}
	e := newError(k, name, Invalid, "")
	e.Fields = schema.TruncateErrors(errs)
	return e
}

// withinBounds is the error of an object with lists that are too long to be validated. Where old, which may be nil, has
// such a list already, the object can still be changed.
func withinBounds(k *schema.Kind, obj, old schema.Object) error {
	if k.Bound == nil {
		return nil
	}
	errs := k.Bound(obj)
	if len(errs) > 0 && old != nil && len(k.Bound(old)) > 0 {
		return nil
	}
	return invalid(k, obj.GetName(), errs)
}
