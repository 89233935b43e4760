package registry

import (
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/registry/objectmeta"
	"gantry/schema"
)

// Update replaces an object. Its metadata.resourceVersion, where set, must be the stored one, else Conflict.
func (r *Registry) Update(ctx context.Context, k *schema.Kind, obj schema.Object, o WriteOptions) (*Item, error) {
	o = o.inVersionOf(k, obj)
	t, err := targetOf(k, obj.GetNamespace(), obj.GetName())
	if err != nil {
		return nil, err
	}
	want, err := preconditionsOf(t, obj, o)
	if err != nil {
		return nil, err
	}
	w := &write{target: t, options: o, want: want, blind: true, replace: o.Subresource == ""}
	decoded := o.Decoded
	w.change = func(schema.Object) (schema.Object, error) {
		if decoded && want.rev != 0 {
			return obj, nil // prepared twice at most, to replace the same revision
		}
		return deepCopy(obj), nil
	}
	if k.CreateOnUpdate && o.Subresource == "" {
		w.absent = func() (*Item, error) { return r.createAbsent(ctx, w, obj) }
	}
	return r.write(ctx, w)
}

// createAbsent is an update of a kind that is created by it.
func (r *Registry) createAbsent(ctx context.Context, w *write, obj schema.Object) (*Item, error) {
	if w.want.uid != "" {
		return nil, w.newError(Conflict, "uid mismatch: the provided object specified uid %s, and no existing object was found", w.want.uid)
	}
	if w.options.Create != nil {
		if err := w.options.Create(); err != nil {
			return nil, err
		}
	}
	return r.create(ctx, w.kind, deepCopy(obj), w.options)
}

// errNoResourceVersion is the error of an update that must name the revision it replaces and does not. Kubernetes names the resource in
// it where other errors name the kind.
func errNoResourceVersion(t target) error {
	e := t.newError(Invalid, "")
	e.KindName = t.kind.Plural
	e.Fields = field.ErrorList{field.Invalid(field.NewPath("metadata", "resourceVersion"), uint64(0), "must be specified for an update")}
	return e
}

// preconditions are what the stored object must be; the zero value takes any.
type preconditions struct {
	rev int64
	uid string
}

// preconditionsOf reads the preconditions in an object to be stored and in the options.
func preconditionsOf(t target, obj schema.Object, o WriteOptions) (want preconditions, err error) {
	want.uid = o.UID
	for _, rv := range []string{o.ResourceVersion, obj.GetResourceVersion()} {
		rev, err := revisionOf(t, rv)
		if err != nil {
			return preconditions{}, err
		}
		if rev != 0 && want.rev != 0 && rev != want.rev {
			return preconditions{}, t.newError(Conflict, modified)
		}
		want.rev = max(want.rev, rev)
	}
	if uid := string(obj.GetUID()); uid != "" {
		if want.uid != "" && want.uid != uid {
			return preconditions{}, t.uidMismatch(want.uid, uid, o.DryRun)
		}
		want.uid = uid
	}
	return want, nil
}

// uidMismatch is the error of an object that is to replace one with another uid. That of a dry run has the key without its prefix, as
// Kubernetes' has.
func (t target) uidMismatch(want, got string, dryRun bool) error {
	key := t.key
	if dryRun {
		key = strings.TrimPrefix(key, strings.TrimSuffix(registryPrefix, "/"))
	}
	return t.newError(Conflict, "StorageError: invalid object, Code: 4, Key: %s, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: %v, UID in object meta: %v",
		key, want, got)
}

// revisionOf reads a resourceVersion; "" and "0" are none.
func revisionOf(t target, rv string) (int64, error) {
	rev, err := parseNumber(rv)
	if err != nil {
		return 0, t.newError(BadRevision, "%v", err)
	}
	return rev, nil
}

// check compares the preconditions with what is stored.
func (want preconditions) check(t target, st state, dryRun bool) error {
	if want.uid != "" && st.item != nil && st.item.uid != want.uid {
		return t.uidMismatch(want.uid, st.item.uid, dryRun)
	}
	if want.rev != 0 && st.rev != want.rev {
		return t.newError(Conflict, modified)
	}
	return nil
}

// stale tells that the precondition can never hold, even where st is an old state: revisions only grow.
func (want preconditions) stale(st state) bool { return want.rev != 0 && st.rev > want.rev }

// part is how one part of an object is updated.
type part struct {
	meta     schema.MetaChecks
	prepare  func(obj, old schema.Object)
	validate func(obj, old schema.Object) field.ErrorList
}

// partOf is that of a subresource by the rules of a version; "": the object itself, of which a scale is written as well.
func (r *Registry) partOf(t target, k *schema.Kind, o WriteOptions) (part, error) {
	subresource := o.Subresource
	s := k.Subresource(subresource)
	switch {
	case subresource == "", s != nil && s.Scale != nil:
		return part{k.UpdateMeta, k.PrepareUpdate, func(obj, old schema.Object) field.ErrorList { return k.ErrorsOf(o.Version, obj, old) }}, nil
	case s != nil && s.IsPart():
		return part{metaOfPart(k), s.Prepare, s.Validate}, nil
	}
	if p, ok := r.hooksOf(k).subresources[subresource]; ok {
		return p, nil
	}
	return part{}, newError(k, t.name, NotFound, "the server could not find the requested resource")
}

// metaOfPart is which checks of metadata an update of a part of an object repeats.
func metaOfPart(k *schema.Kind) schema.MetaChecks {
	if k.UpdateMeta == schema.MetaOfCreate || k.UpdateMeta == schema.MetaOfNone {
		return schema.MetaOfNone
	}
	return schema.MetaOfUpdate
}

// prepareUpdate turns u.obj, which is to replace old, into what is stored (but for its version), or returns every error of it. It completes
// u. Both objects are of the version that o names.
func (r *Registry) prepareUpdate(ctx context.Context, u *guardedUpdate, old schema.Object, o WriteOptions) error {
	k, obj := u.kind.RulesOf(o.Version), u.obj
	part, err := r.partOf(u.target, k, o)
	if err != nil {
		return err
	}
	if err := withinBounds(k, obj, old); err != nil {
		return err
	}
	if !u.applied || !schema.AppliesNothing(obj, old) {
		applyTo(k.Default, obj)
	}
	var texts []string
	if !u.patched {
		texts = dropRepeatedOwners(obj, false, texts)
		o.warn(k, nil, nil, texts)
	}
	if !u.applied {
		r.manage(ctx, k, obj, old, o)
	}
	a := r.admissionOfUpdate(ctx, u, old, o)
	if err := a.mutate(ctx); err != nil {
		return err
	}
	if err := a.applyScale(obj); err != nil {
		return err
	}
	texts = dropRepeatedOwners(obj, true, texts)
	objectmeta.Update(obj, old)
	if part.prepare != nil {
		part.prepare(obj, old)
	}
	if o.Subresource == "" {
		if err := r.complete(k, obj, old); err != nil {
			return err
		}
	}
	errs := schema.ValidateMetaUpdate(k, obj, old, part.meta)
	if part.validate != nil {
		errs = append(errs, part.validate(obj, old)...)
	}
	if err := invalid(k, u.name, errs); err != nil {
		return err
	}
	u.remove = r.finishesDeletion(k, obj, old)
	if err := a.validate(ctx, u.remove); err != nil {
		return err
	}
	if a != nil {
		u.admission = a
	}
	o.warn(k, obj, old, append(texts, u.admission.warnings()...))
	return nil
}

// dropRepeatedOwners removes owner references that are there twice, and appends the warning about them to texts.
func dropRepeatedOwners(obj schema.Object, admitted bool, texts []string) []string {
	if text := objectmeta.DropRepeatedOwners(obj, admitted); text != "" {
		texts = append(texts, text)
	}
	return texts
}

// finishesDeletion tells whether an update removes what keeps an object that is being deleted: then it is deleted instead.
func (r *Registry) finishesDeletion(k *schema.Kind, obj, old schema.Object) bool {
	if old.GetDeletionTimestamp() == nil || len(obj.GetFinalizers()) > 0 {
		return false
	}
	if keeps := r.hooksOf(k).keeps; keeps != nil && keeps(obj) {
		return false
	}
	grace := old.GetDeletionGracePeriodSeconds()
	if grace == nil {
		return k.Grace == nil
	}
	return *grace == 0
}
