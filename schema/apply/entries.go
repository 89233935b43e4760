package apply

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/managedfields"

	"gantry/schema"
)

// The bounds of managedFields, besides schema.MaxDepth and schema.MaxWidth. Kubernetes keeps ten entries of updates; those of applies are few, one for each client.
const (
	maxEntries = 256
	maxFields  = 1 << 20 // bytes of all fieldsV1 together
)

// readable are those entries that can be worked with: valid, within bounds and of a version that the kind has (the fields of others
// cannot be compared). The others are left out, and of too many the last. The result shares memory with entries.
func readable(k *schema.Kind, entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	left := maxFields
	bad := func(e metav1.ManagedFieldsEntry) bool {
		if !isReadable(k, e) {
			return true
		}
		left -= sizeOf(e)
		return left < 0
	}
	if len(entries) <= maxEntries && !slices.ContainsFunc(entries, bad) {
		return entries
	}
	left = maxFields
	var good []metav1.ManagedFieldsEntry
	for _, e := range entries {
		if len(good) < maxEntries && !bad(e) {
			good = append(good, e)
		}
	}
	return good
}

func sizeOf(e metav1.ManagedFieldsEntry) int { return len(rawOf(e)) }

func isReadable(k *schema.Kind, e metav1.ManagedFieldsEntry) bool {
	one := []metav1.ManagedFieldsEntry{e}
	if len(validation.ValidateManagedFields(one, nil)) > 0 || !hasVersion(k, e.APIVersion) {
		return false
	}
	if sizeOf(e) > maxFields || sizeOf(e) > 0 && schema.CheckWidth(rawOf(e)) != nil {
		return false
	}
	return managedfields.ValidateManagedFields(one) == nil
}

func hasVersion(k *schema.Kind, apiVersion string) bool {
	return k.APIVersion() == apiVersion || slices.ContainsFunc(k.Versions, func(v *schema.Version) bool { return v.APIVersion() == apiVersion })
}

// served are the entries of versions that the kind has: the fields of others cannot be compared.
func served(k *schema.Kind, entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	other := func(e metav1.ManagedFieldsEntry) bool { return e.APIVersion != "" && !hasVersion(k, e.APIVersion) }
	if slices.ContainsFunc(entries, other) {
		return slices.DeleteFunc(slices.Clone(entries), other)
	}
	return entries
}

// isReset tells whether a client that sends entries wants to remove those that there are: by an empty list or by one empty entry.
func isReset(entries []metav1.ManagedFieldsEntry) bool {
	if len(entries) == 0 {
		return entries != nil
	}
	e := entries[0]
	return len(entries) == 1 && e.Manager == "" && e.Operation == "" && e.APIVersion == "" && e.Time == nil && e.FieldsType == "" &&
		e.FieldsV1 == nil && e.Subresource == ""
}

// storable tells whether entries have times and fields that can be stored; validation refuses others.
func storable(entries []metav1.ManagedFieldsEntry) bool {
	return !slices.ContainsFunc(entries, func(e metav1.ManagedFieldsEntry) bool {
		if e.Time != nil && !e.Time.IsZero() && (e.Time.UTC().Year() < 0 || e.Time.UTC().Year() > 9999) {
			return true
		}
		raw := rawOf(e)
		return e.FieldsV1 != nil && (schema.CheckDepth(raw) != nil || !json.Valid(raw) || !utf8.Valid(raw))
	})
}

// sent tells whether entries that a client sends count: they can be read, all of them, and are within bounds.
func sent(entries []metav1.ManagedFieldsEntry) bool {
	size := 0
	for _, e := range entries {
		if size += sizeOf(e); schema.CheckWidth(rawOf(e)) != nil {
			return false
		}
	}
	return len(entries) > 0 && len(entries) <= maxEntries && size <= maxFields && managedfields.ValidateManagedFields(entries) == nil
}

// Same tells whether two lists of entries are equal but for their times.
func Same(a, b []metav1.ManagedFieldsEntry) bool {
	return slices.EqualFunc(a, b, func(x, y metav1.ManagedFieldsEntry) bool {
		return x.Manager == y.Manager && x.Operation == y.Operation && x.APIVersion == y.APIVersion && x.FieldsType == y.FieldsType &&
			x.Subresource == y.Subresource && bytes.Equal(rawOf(x), rawOf(y))
	})
}

func rawOf(e metav1.ManagedFieldsEntry) []byte {
	if e.FieldsV1 == nil {
		return nil
	}
	return e.FieldsV1.GetRawBytes()
}

// hasApply tells whether an object with entries has been applied.
func hasApply(entries []metav1.ManagedFieldsEntry) bool {
	return slices.ContainsFunc(entries, func(e metav1.ManagedFieldsEntry) bool { return e.Operation == metav1.ManagedFieldsOperationApply })
}

// inSeconds removes from the times of entries what JSON does not hold.
func inSeconds(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	for i, e := range entries {
		if e.Time != nil && e.Time.Nanosecond() != 0 {
			entries[i].Time = &metav1.Time{Time: e.Time.Truncate(time.Second)}
		}
	}
	return entries
}
