package schema

import (
	"context"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Object is an API object: a pointer to a type of k8s.io/api, or *unstructured.Unstructured.
type Object interface {
	metav1.Object
	runtime.Object
}

// Kind is one resource: its names, its place in etcd, the versions it is served in, its rules.
// It is read-only once it is in a Set. Function fields may be nil: then there is nothing to do. Functions get objects of the
// stored version's type and may assert it unchecked.
type Kind struct {
	// Version is the version that objects are stored in, and the first that is served.
	Version
	// Versions are the other versions: those that are served, and those of a custom kind in which objects may still be stored. Their group
	// and kind may differ: events are served in v1 and in events.k8s.io/v1. The plural is one.
	Versions []*Version
	// Rules, where set, are the kind with each of Versions in the place of Version: objects that clients write in a version are prepared,
	// admitted and validated in that version. nil: the rules see objects of the stored version alone.
	Rules []*Kind
	// Convert makes objects of one version of objects of any of the kind's versions, in their order; nil: ToStored and FromStored of the
	// versions do. It keeps the contract of a Conversion.
	Convert func(ctx context.Context, objs []Object, to *Version) ([]Object, error)
	// AsWritten tells that Convert asks a webhook: an object that was stored in another version than Version is not converted to be kept in
	// memory, but when a client asks for it.
	AsWritten bool

	// Plural is the resource name in paths, "pods"; Singular is "pod".
	Plural, Singular string
	ShortNames       []string // "po"
	Categories       []string // "all"
	Namespaced       bool
	// Prefix is the place below /registry/, without slashes at its ends: "pods", "minions",
	// "services/specs". Keys are /registry/<Prefix>/[<namespace>/]<name>.
	Prefix string

	// Verbs are the verbs of the resource itself; nil: DefaultVerbs.
	Verbs []string
	// Subresources are served below each object, in the order of discovery.
	Subresources []Subresource

	// UnconditionalUpdate allows a PUT without metadata.resourceVersion.
	UnconditionalUpdate bool
	// CreateOnUpdate makes a PUT of an absent name a create.
	CreateOnUpdate bool
	// RefuseCreate is the text of the error of every create; "": objects can be created.
	RefuseCreate string
	// NamedByUUID gives an object that is created without a name a UUID as its name.
	NamedByUUID bool
	// ReturnsDeleted makes the answer to a delete the object itself, where it is gone; else it is a Status.
	ReturnsDeleted bool

	// OrphansDependents tells that a deletion without a propagation policy leaves the object's dependents alone, as "Orphan" does.
	OrphansDependents bool
	// OrphanWarning is the text for the Warning header of such a deletion; "": none.
	OrphanWarning string

	// ValidateName returns what is wrong with a name (prefix: it is a generateName), as
	// k8s.io/apimachinery/pkg/api/validation.ValidateNameFunc does.
	ValidateName func(name string, prefix bool) []string

	// AnyFinalizers tells that finalizers need neither a domain nor be Kubernetes' own, which is checked for most kinds.
	AnyFinalizers bool
	// Resets are the fields, besides status, that a write of the object itself sets back: server-side apply does not record them for it.
	Resets []string
	// UpdateMeta is which checks of metadata an update of the object itself repeats; one of its status repeats MetaOfUpdate or nothing.
	UpdateMeta MetaChecks

	// PrepareCreate clears what a client may not set on create: status (where that is a subresource), and sets
	// metadata.generation to 1 where the kind keeps one.
	PrepareCreate func(obj Object)
	// PrepareUpdate resets in obj what an update may not change (status) to old's, and raises
	// metadata.generation when the spec changed.
	PrepareUpdate func(obj, old Object)

	// Bound returns errors for lists that are too long to be processed. An object with such an error is not defaulted and not validated.
	Bound func(obj Object) field.ErrorList
	// Validate returns every error of an object about to be created; field paths as Kubernetes writes them.
	// metadata is validated by the caller (ValidateMeta).
	Validate func(obj Object) field.ErrorList
	// ValidateUpdate returns every error of obj replacing old, immutable fields included; it calls Validate
	// where that applies.
	ValidateUpdate func(obj, old Object) field.ErrorList
	// Warnings returns texts for the Warning header of a create (old nil) or an update.
	Warnings func(obj, old Object) []string

	// Grace decides a graceful delete: given the requested period (nil: unset) it returns the seconds the
	// object stays with a deletionTimestamp; 0 deletes at once. nil func: always at once.
	Grace func(obj Object, requested *int64) int64
}

// DefaultVerbs are the verbs of a kind that names none, in the order of discovery.
var DefaultVerbs = []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}

// AllVerbs are the verbs of the resource itself; read-only.
func (k *Kind) AllVerbs() []string {
	if k.Verbs == nil {
		return DefaultVerbs
	}
	return k.Verbs
}

// HasVerb tells whether the resource itself has a verb.
func (k *Kind) HasVerb(verb string) bool { return slices.Contains(k.AllVerbs(), verb) }

// Subresource is the row of a subresource; nil where there is none of that name.
func (k *Kind) Subresource(name string) *Subresource {
	for i := range k.Subresources {
		if k.Subresources[i].Name == name {
			return &k.Subresources[i]
		}
	}
	return nil
}

// Scale is what the scale subresource shows; nil where there is none.
func (k *Kind) Scale() *Scale {
	for i := range k.Subresources {
		if s := k.Subresources[i].Scale; s != nil {
			return s
		}
	}
	return nil
}

// Stored is the version that objects are stored in.
func (k *Kind) Stored() *Version { return &k.Version }

// Served are the versions that clients can request, the stored one first.
func (k *Kind) Served() []*Version {
	all := make([]*Version, 0, 1+len(k.Versions))
	if !k.NotServed {
		all = append(all, &k.Version)
	}
	for _, v := range k.Versions {
		if !v.NotServed {
			all = append(all, v)
		}
	}
	return all
}

// RulesOf is the kind whose rules are those of writes in version v (nil: the stored one); objects are of its Version.
func (k *Kind) RulesOf(v *Version) *Kind {
	for _, in := range k.Rules {
		if v == &in.Version {
			return in
		}
	}
	return k
}

// VersionOf is the version of the kind that an object says it is of; nil where there is none.
func (k *Kind) VersionOf(obj Object) *Version {
	gvk := obj.GetObjectKind().GroupVersionKind()
	if k.GVK() == gvk {
		return k.Stored()
	}
	for _, v := range k.Versions {
		if v.GVK() == gvk {
			return v
		}
	}
	return nil
}

// GVR is the group, version and resource of the stored version.
func (k *Kind) GVR() kschema.GroupVersionResource { return k.GV().WithResource(k.Plural) }

// GR is the group and resource, as errors name a kind.
func (k *Kind) GR() kschema.GroupResource {
	return kschema.GroupResource{Group: k.Group, Resource: k.Plural}
}

// ErrorsOf returns every error of obj that a client of version v (nil: the stored one) creates, or puts in the place of old.
func (k *Kind) ErrorsOf(v *Version, obj, old Object) field.ErrorList {
	switch {
	case v != nil && v.ValidateAs != nil:
		return v.ValidateAs(obj, old)
	case old == nil && k.Validate != nil:
		return k.Validate(obj)
	case old != nil && k.ValidateUpdate != nil:
		return k.ValidateUpdate(obj, old)
	}
	return nil
}
