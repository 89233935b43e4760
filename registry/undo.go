package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"gantry/registry/history"
	"gantry/registry/store"
	"gantry/schema"
)

// PutBack makes an earlier state of an object (Read) the current one, as every write does: it is admitted, validated, and stored in a
// guarded transaction with its companions.
//
//   - A readable object is updated: immutable fields that differ are Invalid, and its status stays.
//   - A value that cannot be read is replaced by the whole state, with uid and status: it is the same object as before.
//   - An absent object is created, with another uid and no status; a pod is scheduled again.
func (r *Registry) PutBack(ctx context.Context, it *Item, o WriteOptions) (*Item, error) {
	t, err := targetOf(it.Kind, it.Namespace, it.Name)
	if err != nil {
		return nil, err
	}
	st, err := r.read(ctx, t)
	if err != nil {
		return nil, about(t.kind, t.name, err)
	}
	obj, err := it.copyObject()
	if err != nil {
		return nil, err
	}
	switch {
	case st.rev == 0:
		return r.recreate(ctx, t, obj, o)
	case st.item == nil:
		return r.putBackWhole(ctx, t, st, obj, o)
	}
	o.Version = cmp.Or(o.Version, it.Version())
	obj.SetUID(types.UID(st.item.uid))
	obj.SetResourceVersion(st.item.Object().GetResourceVersion())
	obj.SetDeletionTimestamp(nil)
	obj.SetDeletionGracePeriodSeconds(nil)
	return r.Update(ctx, t.kind, obj, o)
}

func (r *Registry) recreate(ctx context.Context, t target, obj schema.Object, o WriteOptions) (*Item, error) {
	obj.SetUID("")
	obj.SetResourceVersion("")
	if prepare := r.hooksOf(t.kind).recreate; prepare != nil {
		prepare(obj)
	}
	return r.Create(ctx, t.kind, obj, o)
}

func (r *Registry) putBackWhole(ctx context.Context, t target, st state, obj schema.Object, o WriteOptions) (*Item, error) {
	o = o.inVersionOf(t.kind, obj)
	rules := t.kind.RulesOf(o.Version)
	applyTo(rules.Default, obj)
	u := &guardedUpdate{target: t, old: st, obj: obj, version: rules.Stored(), dryRun: o.DryRun}
	u.admission = r.admissionOfUpdate(ctx, u, deepCopy(obj), o)
	if err := u.admission.mutate(ctx); err != nil {
		return nil, err
	}
	if err := r.complete(rules, obj, nil); err != nil {
		return nil, err
	}
	errs := schema.ValidateMeta(rules, obj)
	if rules.Validate != nil {
		errs = append(errs, rules.Validate(obj)...)
	}
	if err := invalid(t.kind, t.name, errs); err != nil {
		return nil, err
	}
	if err := u.admission.validate(ctx, false); err != nil {
		return nil, err
	}
	it, conflict, err := r.execute(ctx, u)
	if err == nil && conflict != nil {
		return nil, t.newError(Conflict, modified)
	}
	return it, err
}

// Read reads a version as an object of its key's kind; the error says what is wrong with the value.
func Read(kinds *schema.Set, key string, v *history.Version) (*Item, error) {
	k, _, _, ok := kinds.Key(strings.TrimPrefix(key, registryPrefix))
	if !ok || !strings.HasPrefix(key, registryPrefix) {
		return nil, fmt.Errorf("%s is the key of no kind of object", key)
	}
	if v.Value == nil {
		return nil, errors.New("the key was deleted")
	}
	relKey := strings.TrimPrefix(key, kindPrefix(k, ""))
	return itemAt(k, relKey, &store.KV{Key: key, Value: v.Value, ModRevision: v.Revision}, true)
}
