package apply

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

// Tracked tells whether a write of obj, which replaces live (nil: it is new), concerns managedFields at all. That is cheap.
func Tracked(live, obj schema.Object) bool {
	return obj.GetManagedFields() != nil || live != nil && live.GetManagedFields() != nil
}

// Update brings the managedFields of obj up to date, which is about to replace live (nil: it is new): both are of the stored version, and
// obj has its defaults. The entries that obj has are the client's: they count where they can be read, and an empty list or entry
// removes all. An object without an apply keeps none. Entries that cannot be stored stay in obj for validation to refuse.
//
// After an error obj has no managedFields: they never keep an object from being written.
func (t *Types) Update(ctx context.Context, w Write, live, obj schema.Object) error {
	if !storable(obj.GetManagedFields()) && !(live != nil && Same(obj.GetManagedFields(), live.GetManagedFields())) {
		return nil
	}
	entries := startOf(w, live, obj)
	obj.SetManagedFields(entries)
	if len(entries) == 0 {
		obj.SetManagedFields(nil)
		return nil
	}
	if live == nil {
		live = empty(w.Kind.Stored())
	} else if w.Subresource != "" {
		live = withEntries(live, entries)
	}
	w.Kind.SetTypeMeta(obj)
	err := narrow(live, obj)
	if err == nil {
		err = t.update(ctx, w, live, obj)
	}
	if err != nil {
		obj.SetManagedFields(nil)
		return err
	}
	obj.SetManagedFields(inSeconds(obj.GetManagedFields()))
	return nil
}

func (t *Types) update(ctx context.Context, w Write, live, obj schema.Object) error {
	m, err := t.manager(ctx, w)
	if err != nil {
		return err
	}
	_, err = m.Update(live, obj, w.Manager)
	return err
}

// narrow returns an error for objects that are too wide for their fields to be managed.
func narrow(objs ...schema.Object) error {
	for _, obj := range objs {
		data, err := schema.Encode(obj)
		if err != nil {
			return err
		}
		if err := schema.CheckWidth(data); err != nil {
			return err
		}
	}
	return nil
}

// startOf are the entries that an update begins with: the client's, else live's.
func startOf(w Write, live, obj schema.Object) []metav1.ManagedFieldsEntry {
	var had []metav1.ManagedFieldsEntry
	if live != nil {
		had = readable(w.Kind, live.GetManagedFields())
	}
	given := obj.GetManagedFields()
	if w.Subresource != "" || live != nil && Same(given, live.GetManagedFields()) {
		return had
	}
	if isReset(given) {
		return nil
	}
	given = served(w.Kind, given)
	switch {
	case !sent(given):
		return had
	case len(had) == 0 && !hasApply(given):
		return nil
	}
	return given
}
