package schema

import (
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Object is an API object: a pointer to a type of k8s.io/api.
type Object interface {
	metav1.Object
	runtime.Object
}

// Kind is everything Gantry knows of one type of object. Function fields may be nil: then there is
// nothing to do. Functions get objects of the Kind's own Go type and may assert it unchecked.
type Kind struct {
	Group   string // "" for the core group
	Version string // "v1"
	Kind    string // "Pod"
	// Plural is the resource name in paths, "pods"; Singular is "pod".
	Plural, Singular string
	ShortNames       []string // "po"
	Categories       []string // "all"
	Namespaced       bool
	// Prefix is the place below /registry/, without slashes at its ends: "pods", "minions",
	// "services/specs". Keys are /registry/<Prefix>/[<namespace>/]<name>.
	Prefix string

	// New makes an empty object, NewList an empty list of them.
	New     func() Object
	NewList func() runtime.Object

	// HasStatus tells that the status subresource exists: then status is ignored in a write of the main
	// resource, and everything but status (and metadata Kubernetes lets status writes change) in a write of
	// status.
	HasStatus bool
	// Scale is nil where the kind has no scale subresource.
	Scale *Scale
	// Verbs lists further subresources by name, for discovery: "log", "exec", "binding"...
	Subresources []Subresource

	// UnconditionalUpdate allows a PUT without metadata.resourceVersion.
	UnconditionalUpdate bool
	// CreateOnUpdate makes a PUT of an absent name a create.
	CreateOnUpdate bool

	// ValidateName returns what is wrong with a name (prefix: it is a generateName), as
	// k8s.io/apimachinery/pkg/api/validation.ValidateNameFunc does.
	ValidateName func(name string, prefix bool) []string

	// Default fills unset fields exactly as Kubernetes v1.36 does. Idempotent.
	Default func(obj Object)
	// PrepareCreate clears what a client may not set on create: status (where HasStatus), and sets
	// metadata.generation to 1 where the kind keeps one.
	PrepareCreate func(obj Object)
	// PrepareUpdate resets in obj what an update may not change (status) to old's, and raises
	// metadata.generation when the spec changed.
	PrepareUpdate func(obj, old Object)
	// PrepareStatus is PrepareUpdate's mirror for the status subresource: everything but status is reset to old's.
	// After either, obj and old may share memory: both belong to one write.
	PrepareStatus func(obj, old Object)

	// Bound returns the faults of lists that are longer than anything that runs. An object with any is neither defaulted nor
	// validated.
	Bound func(obj Object) field.ErrorList
	// Validate returns every fault of an object about to be created; field paths as Kubernetes writes them.
	// metadata is validated by the caller (ValidateMeta).
	Validate func(obj Object) field.ErrorList
	// ValidateUpdate returns every fault of obj replacing old, immutable fields included; it calls Validate
	// where that applies.
	ValidateUpdate func(obj, old Object) field.ErrorList
	// ValidateStatus is ValidateUpdate for the status subresource.
	ValidateStatus func(obj, old Object) field.ErrorList
	// Warnings returns texts for the Warning header of a create (old nil) or an update.
	Warnings func(obj, old Object) []string

	// Grace decides a graceful delete: given the requested period (nil: unset) it returns the seconds the
	// object stays with a deletionTimestamp; 0 deletes at once. nil func: always at once.
	Grace func(obj Object, requested *int64) int64

	// Fields are what field selectors may name, besides metadata.name and metadata.namespace.
	Fields []Field

	// Columns and Row are the kind's Table. Row returns one cell a column; times are given as text relative
	// to now by TableRow, so Row is passed now.
	Columns []metav1.TableColumnDefinition
	Row     func(obj Object, now metav1.Time) []any
}

// Field is a field that field selectors may name: "spec.nodeName".
type Field struct {
	Path  string
	Value func(obj Object) string
}

// Scale says how a kind answers its scale subresource.
type Scale struct {
	// Get returns spec replicas, status replicas and the selector as text.
	Get func(obj Object) (spec, status int32, selector string)
	// Set changes the spec's replicas.
	Set func(obj Object, replicas int32)
}

// Subresource is one row of discovery below a resource: name "log", kind "Pod", verbs "get".
type Subresource struct {
	Name           string
	Group, Version string // of the body's kind where it is not the parent's
	Kind           string
	Verbs          []string
}

// GVK is the group, version and kind.
func (k *Kind) GVK() kschema.GroupVersionKind {
	return kschema.GroupVersionKind{Group: k.Group, Version: k.Version, Kind: k.Kind}
}

// GVR is the group, version and resource.
func (k *Kind) GVR() kschema.GroupVersionResource {
	return kschema.GroupVersionResource{Group: k.Group, Version: k.Version, Resource: k.Plural}
}

// GR is the group and resource, as errors name a kind.
func (k *Kind) GR() kschema.GroupResource { return k.GVR().GroupResource() }

// APIVersion is "v1" or "apps/v1".
func (k *Kind) APIVersion() string { return k.GVK().GroupVersion().String() }

// ListKind is the kind of a list: "PodList".
func (k *Kind) ListKind() string { return k.Kind + "List" }

// Type is the Go type of the kind's objects (a pointer type).
func (k *Kind) Type() reflect.Type { return reflect.TypeOf(k.New()) }

// Stamp sets kind and apiVersion, which Go clients leave empty.
func (k *Kind) Stamp(obj Object) { obj.GetObjectKind().SetGroupVersionKind(k.GVK()) }
