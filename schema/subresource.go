package schema

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Subresource is one row below a resource. Parts of an object ("status") and scale are rows of its kind; what is done with an object
// ("log", "eviction") is a row of the gateway.
type Subresource struct {
	Name  string
	Verbs []string // "get", "patch", "update"

	// Body is what is read and written; nil: the object itself, in the version of the request. Its New is nil where nothing is
	// decoded: then Kind is what discovery names.
	Body *Version
	// Options makes the empty options that the query of a connection or a text is read into; nil: it is neither.
	Options func() runtime.Object

	// Proxied: the path below it is not the API's, any method may be used, and its get is also asked for by HEAD.
	Proxied bool

	// Prepare and Validate make the subresource a part of the object, which is got, updated and patched as the object is. Prepare
	// sets everything in obj that is not of that part back to old's; after it, obj and old may share memory: both belong to one write.
	Prepare func(obj, old Object)
	// Validate returns every error of obj replacing old by this subresource.
	Validate func(obj, old Object) field.ErrorList
	// Warnings returns texts for the Warning header of a write of a part; nil: there are none.
	Warnings func(obj, old Object) []string

	// Resets are the fields that Prepare sets back to old's: who writes them by this subresource does not become their manager. "spec",
	// "metadata.labels".
	Resets []string
	// Writes, where set, are instead the only fields that the subresource writes; "*" is any element of a list or member of an object:
	// "spec.containers.*.resources".
	Writes []string

	// Scale makes the subresource the object's Scale.
	Scale *Scale
}

// IsPart tells that the subresource is a part of the object itself.
func (s *Subresource) IsPart() bool { return s.Prepare != nil }

// BodyOf is what is read and written below objects of version v.
func (s *Subresource) BodyOf(v *Version) *Version {
	if s.Body == nil {
		return v
	}
	return s.Body
}

// Part is the row of a subresource that is a part of the object, with the verbs "get", "patch" and "update".
func Part[T Object](name string, prepare func(obj, old T), validate func(obj, old T) field.ErrorList) Subresource {
	return Subresource{Name: name, Verbs: []string{"get", "patch", "update"}, Prepare: UpdatePreparation(prepare), Validate: UpdateValidation(validate)}
}

// Status is the row of the status subresource: with it, status is ignored in a write of the main resource, and everything but
// status (and metadata Kubernetes lets status writes change) in a write of status.
func Status[T Object](prepare func(obj, old T), validate func(obj, old T) field.ErrorList) Subresource {
	return Part("status", prepare, validate).Resetting("spec")
}

// Resetting is the row with more Resets.
func (s Subresource) Resetting(paths ...string) Subresource {
	s.Resets = append(slices.Clip(s.Resets), paths...)
	return s
}

// Writing is the row with its Writes.
func (s Subresource) Writing(paths ...string) Subresource {
	s.Writes = paths
	return s
}

// WithWarnings is the row with its Warnings.
func (s Subresource) WithWarnings(warnings func(obj, old Object) []string) Subresource {
	s.Warnings = warnings
	return s
}
