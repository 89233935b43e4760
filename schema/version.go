package schema

import (
	"cmp"
	"context"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Version is one API version of a kind: what its objects look like there. Functions get objects of the version's own type
// and may assert it unchecked.
type Version struct {
	Group   string // "" for the core group
	Version string // "v1"
	Kind    string // "Pod"

	// List is the kind of a list; "": Kind with "List" after it.
	List string

	// New makes an empty object, NewList an empty list of them. NewUnstructured and NewUnstructuredList are those of a version
	// without a Go type.
	New     func() Object
	NewList func() runtime.Object

	// NotServed tells that objects may be stored in this version and clients cannot request it.
	NotServed bool
	// DeprecationWarning is the text for the Warning header of every request in this version; "": none.
	DeprecationWarning string

	// Default fills unset fields exactly as Kubernetes v1.36 does. Idempotent.
	Default func(obj Object)
	// ValidateAs is instead of the kind's Validate (old nil) and ValidateUpdate for writes in this version, where it has rules of its
	// own. Objects are of the stored version's type.
	ValidateAs func(obj, old Object) field.ErrorList
	// Prune removes the fields that an unstructured version does not know and returns their paths; nil: it knows all. Its error is about
	// what cannot be an object of the version: metadata in an embedded object that is none.
	Prune func(obj Object) (unknown []string, err error)

	// Structure is the schema of the objects of a version without a Go type: what server-side apply merges them by. nil: their objects are
	// merged member by member and their lists are replaced.
	Structure *Structure

	// ToStored and FromStored convert between this version and the one that the kind is stored in. nil: the versions have the same
	// fields and differ in kind and apiVersion alone. Those of the stored version are not used.
	ToStored, FromStored Conversion

	// Fields are what field selectors may name, besides metadata.name and metadata.namespace.
	Fields []Field
	// UnknownField is the format of the error about another field; "": the one of most versions that have Fields.
	UnknownField string

	// Columns and Row are the version's Table. Row returns one cell a column; now is what ages are relative to.
	Columns []metav1.TableColumnDefinition
	Row     func(obj Object, now metav1.Time) []any
}

// Conversion makes objects of one version of objects of another, in their order. The results may share memory with what they
// are made of, which is not changed. Conversions of built-in kinds (EachTo) are pure and do not fail for what their version's
// decoder takes; that of a custom kind may call a webhook: it ends with ctx, and its error is about all of the objects.
type Conversion func(ctx context.Context, objs []Object) ([]Object, error)

// EachTo is the Conversion that converts objects one by one.
func EachTo[From, To Object](convert func(From) To) Conversion {
	return func(_ context.Context, objs []Object) ([]Object, error) {
		out := make([]Object, len(objs))
		for i, obj := range objs {
			out[i] = convert(obj.(From))
		}
		return out, nil
	}
}

// Field is a field that field selectors may name: "spec.nodeName".
type Field struct {
	Path string
	// Value reads it from an object of the stored version. nil, in another version: it is the stored version's field Stored.
	Value func(obj Object) string
	// Stored is the path of the field in the stored version, where that is another one.
	Stored string
}

// GVK is the group, version and kind.
func (v *Version) GVK() kschema.GroupVersionKind {
	return kschema.GroupVersionKind{Group: v.Group, Version: v.Version, Kind: v.Kind}
}

// GV is the group and version.
func (v *Version) GV() kschema.GroupVersion {
	return kschema.GroupVersion{Group: v.Group, Version: v.Version}
}

// APIVersion is "v1" or "apps/v1".
func (v *Version) APIVersion() string { return v.GV().String() }

// ListKind is the kind of a list: "PodList".
func (v *Version) ListKind() string { return cmp.Or(v.List, v.Kind+"List") }

// Type is the Go type of the version's objects (a pointer type).
func (v *Version) Type() reflect.Type { return reflect.TypeOf(v.New()) }

// SetTypeMeta sets kind and apiVersion, which Go clients leave empty.
func (v *Version) SetTypeMeta(obj Object) { obj.GetObjectKind().SetGroupVersionKind(v.GVK()) }
