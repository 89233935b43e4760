package registry

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gantry/registry/safely"
	"gantry/schema"
)

// An Item holds the bytes of one version (Item.Version). Those of the other versions it is served in are made when they are first asked
// for, kept with the item and dropped with it.

// versionForm is an item's final bytes in one version; next is another's.
type versionForm struct {
	version *schema.Version
	json    []byte
	fields  []string // the values of the version's Fields, of a version with rules of its own
	next    *versionForm
}

// fieldIn is the value of a field in a version that the item has been converted to.
func (i *Item) fieldIn(v *schema.Version, path string) (value string, ok bool) {
	if v == i.Version() {
		return fieldOf(v, i.fields(), path)
	}
	if f := i.form(v); f != nil {
		return fieldOf(v, f.fields, path)
	}
	return "", false
}

// As returns the object's final bytes in a version that its kind is served in.
func (i *Item) As(ctx context.Context, v *schema.Version) ([]byte, error) {
	if v == i.Version() {
		return i.JSON, nil
	}
	if data := i.formIn(v); data != nil {
		return data, nil
	}
	if err := ConvertItems(ctx, []*Item{i}, v); err != nil {
		return nil, err
	}
	return i.formIn(v), nil
}

// ObjectAs returns the object decoded in a version that its kind is served in: shared, read-only.
func (i *Item) ObjectAs(ctx context.Context, v *schema.Version) (schema.Object, error) {
	if v == i.Version() {
		return i.object()
	}
	data, err := i.As(ctx, v)
	if err != nil {
		return nil, err
	}
	return schema.Unmarshal(v, data)
}

// ConvertItems makes what As returns for all of items, which are of one kind: a conversion that asks a webhook asks once.
func ConvertItems(ctx context.Context, items []*Item, v *schema.Version) error {
	var missing []*Item
	var objs []schema.Object
	for _, it := range items {
		if it.Has(v) {
			continue
		}
		obj, err := it.object()
		if err != nil {
			return err
		}
		missing, objs = append(missing, it), append(objs, obj)
	}
	if len(missing) == 0 {
		return nil
	}
	k := missing[0].Kind
	var out []schema.Object
	err := safely.Call(func() (err error) {
		out, err = schema.FromStored(ctx, k, v, objs)
		return err
	})
	if err != nil {
		return conversionError(ctx, k, v, err)
	}
	for n, it := range missing {
		if it.Revision != 0 { // a dry run has none
			out[n].SetResourceVersion(strconv.FormatInt(it.Revision, 10))
		}
		data, err := schema.Encode(out[n])
		if err != nil {
			return conversionError(ctx, k, v, err)
		}
		form := &versionForm{version: v, json: data}
		if k.Rules != nil {
			for _, f := range v.Fields {
				form.fields = append(form.fields, strings.Clone(f.Value(out[n])))
			}
		}
		it.keepForm(form)
	}
	return nil
}

// AreIn tells whether the bytes of all items, which are of one kind, are of version v.
func AreIn(items []*Item, v *schema.Version) bool {
	switch {
	case len(items) == 0:
		return true
	case !items[0].Kind.AsWritten:
		return v == items[0].Kind.Stored()
	}
	return !slices.ContainsFunc(items, func(it *Item) bool { return it.Version() != v })
}

// Has tells whether As needs no conversion.
func (i *Item) Has(v *schema.Version) bool { return v == i.Version() || i.formIn(v) != nil }

// ItemsAs returns items whose JSON is that of version v; the same items where that is their version. The others are there to be
// written out: they have no decoded form of v.
func ItemsAs(ctx context.Context, items []*Item, v *schema.Version) ([]*Item, error) {
	if AreIn(items, v) {
		return items, nil
	}
	if err := ConvertItems(ctx, items, v); err != nil {
		return nil, err
	}
	converted := make([]*Item, len(items))
	for n, it := range items {
		converted[n] = &Item{Kind: it.Kind, Namespace: it.Namespace, Name: it.Name, Revision: it.Revision, JSON: it.bytesIn(v)}
	}
	return converted, nil
}

// ForWrite is an object as a client wrote it in version v, in the version that the rules of its writes are of (schema.Kind.RulesOf): that is
// what the write path takes. The result may share obj's memory.
func ForWrite(ctx context.Context, k *schema.Kind, v *schema.Version, obj schema.Object) (schema.Object, error) {
	if v == k.RulesOf(v).Stored() {
		return obj, nil
	}
	return toStored(ctx, k, v, obj)
}

// toStored is an object of version v in k's stored version. The result may share obj's memory.
func toStored(ctx context.Context, k *schema.Kind, v *schema.Version, obj schema.Object) (schema.Object, error) {
	if v == k.Stored() {
		return obj, nil
	}
	if v.Default != nil {
		v.Default(obj)
	}
	var out []schema.Object
	err := safely.Call(func() (err error) {
		out, err = schema.ToStored(ctx, k, v, []schema.Object{obj})
		return err
	})
	if err != nil {
		return nil, conversionError(ctx, k, v, err)
	}
	return out[0], nil
}

func conversionError(ctx context.Context, k *schema.Kind, v *schema.Version, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctxError(ctx)
	case k.Convert != nil: // the error has Kubernetes' text
		return newError(k, "", Misconfigured, "%s", err.Error())
	}
	return &Error{
		Kind: Unavailable, Group: k.Group, Resource: k.Plural, KindName: k.Kind,
		Cause: fmt.Errorf("converting between %s and %s: %w", k.APIVersion(), v.APIVersion(), err),
	}
}

// bytesIn is the item's bytes in a version; nil: they have not been made.
func (i *Item) bytesIn(v *schema.Version) []byte {
	if v == i.Version() {
		return i.JSON
	}
	return i.formIn(v)
}

// formIn is the item's bytes in another version than its own; nil: they have not been made.
func (i *Item) formIn(v *schema.Version) []byte {
	if f := i.form(v); f != nil {
		return f.json
	}
	return nil
}

func (i *Item) form(v *schema.Version) *versionForm {
	for f := i.forms.Load(); f != nil; f = f.next {
		if f.version == v {
			return f
		}
	}
	return nil
}

// keepForm keeps what the item is in a version. Two may be made of one version at the same time: they are equal.
func (i *Item) keepForm(form *versionForm) {
	for {
		form.next = i.forms.Load()
		if i.form(form.version) != nil || i.forms.CompareAndSwap(form.next, form) {
			return
		}
	}
}
