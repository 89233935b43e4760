package request

import (
	"maps"
	"slices"

	"gantry/schema"
)

// Resource is everything that can be asked of a kind in one version. Discovery, OpenAPI, routing and metrics read it: what is
// listed is what is served. It is read-only.
type Resource struct {
	Kind    *schema.Kind
	Version *schema.Version
	// Virtual resources are never stored.
	Virtual      bool
	Handlers     Handlers      // of the resource itself
	Subresources []Subresource // in the order of their names
}

// Subresource is a row below a resource. Its Verbs are those that Handlers has.
type Subresource struct {
	schema.Subresource
	Handlers Handlers
}

// Handlers are the handlers of verbs.
type Handlers map[string]Handler

// Verbs are those that are served, in order.
func (h Handlers) Verbs() []string { return slices.Sorted(maps.Keys(h)) }

// Only are the handlers of some verbs.
func (h Handlers) Only(verbs []string) Handlers {
	some := Handlers{}
	for _, verb := range verbs {
		if one := h[verb]; one != nil {
			some[verb] = one
		}
	}
	return some
}

// Sub is the subresource of a name; nil where there is none.
func (r *Resource) Sub(name string) *Subresource {
	for i := range r.Subresources {
		if r.Subresources[i].Name == name {
			return &r.Subresources[i]
		}
	}
	return nil
}

// IsStream returns whether it is a connection or a text, which may last and whose body and answer are no objects.
func (s *Subresource) IsStream() bool { return s != nil && s.Options != nil }

// IsConnection returns whether it is a stream in both directions: what follows the request's head is not read by the gateway.
func (s *Subresource) IsConnection() bool { return s.IsStream() && s.Body != nil }
