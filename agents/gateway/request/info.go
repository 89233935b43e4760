package request

import (
	"net/http"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/fields"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"gantry/schema"
)

// Info is what a request is about. It is the one reading of path, method and query: permission is asked for it (attributes),
// the handler is chosen by it (route) and acts on it.
type Info struct {
	// Verb is get, update, patch or delete of the object that the path names, list, watch, deletecollection or create in the
	// collection that it names, "" for a method that resources do not have; without a resource it is the HTTP method in lower case.
	Verb string
	// IsResource tells that the path names a resource, known or not.
	IsResource bool
	// Kind is the resource's kind, virtual ones included; nil where there is none.
	Kind                         *schema.Kind
	Group, Version, Plural       string
	Namespace, Name, Subresource string
	SelectedName                 string // the one name that a list or watch selects by its field selector
	Rest                         string // what follows the subresource, without a leading slash
	Path                         string // as asked
	ByKey                        bool   // it came by /registry/
	HasNamespace                 bool   // the path has a namespace segment
}

// Kinds find the kind that a path names.
type Kinds interface {
	// Resource finds a kind, stored or virtual, by its place in the API; nil where there is none.
	Resource(group, version, plural string) *schema.Kind
	// Key takes an etcd key below /registry/ apart.
	Key(rel string) (k *schema.Kind, namespace, name string, ok bool)
}

// ParseInfo takes a request's path apart. The path has been checked by checkPath.
func ParseInfo(req *http.Request, query url.Values, kinds Kinds) Info {
	t := Info{Path: req.URL.Path, Verb: strings.ToLower(req.Method)}
	parts := strings.Split(strings.Trim(t.Path, "/"), "/")
	switch {
	case parts[0] == "registry" && len(parts) > 1:
		t.parseKey(strings.TrimPrefix(t.Path, "/registry/"), kinds)
	case parts[0] == "api" && len(parts) > 2:
		t.parseResource("", parts[1], parts[2:])
	case parts[0] == "apis" && len(parts) > 3:
		t.parseResource(parts[1], parts[2], parts[3:])
	}
	if !t.IsResource {
		return t
	}
	t.Kind = kinds.Resource(t.Group, t.Version, t.Plural)
	t.Verb = resourceVerb(req.Method, t.Name != "", query)
	if t.Verb == "list" || t.Verb == "watch" {
		// A collection narrowed to one name is permitted like that object, as the kubelet asks for its node.
		if s, err := fields.ParseSelector(query.Get("fieldSelector")); err == nil {
			if name, ok := s.RequiresExactMatch("metadata.name"); ok && len(path.IsValidPathSegmentName(name)) == 0 {
				t.SelectedName = name
			}
		}
	}
	if t.Group == "" && t.Plural == "namespaces" && t.Name != "" {
		t.Namespace = t.Name // permission for a namespace is asked inside it, as Kubernetes does
	}
	return t
}

// parseResource reads [namespaces/<ns>/]<plural>[/<name>[/<subresource>[/<rest>]]].
func (t *Info) parseResource(group, version string, parts []string) {
	t.IsResource, t.Group, t.Version = true, group, version
	if parts[0] == "namespaces" && len(parts) > 2 && parts[2] != "status" && parts[2] != "finalize" {
		t.Namespace, t.HasNamespace = parts[1], true
		parts = parts[2:]
	}
	t.Plural = parts[0]
	if len(parts) > 1 {
		t.Name = parts[1]
	}
	if len(parts) > 2 {
		t.Subresource = parts[2]
		t.Rest = strings.Join(parts[3:], "/")
	}
}

// parseKey reads an etcd key below /registry/.
func (t *Info) parseKey(key string, kinds Kinds) {
	k, namespace, name, ok := kinds.Key(key)
	if !ok {
		return
	}
	t.IsResource, t.ByKey = true, true
	t.Group, t.Version, t.Plural = k.Group, k.Version.Version, k.Plural
	t.Namespace, t.Name, t.HasNamespace = namespace, name, namespace != ""
}

// resourceVerb is Kubernetes' name for a method on an object (named) or a collection. A named object is never watched: its path
// with ?watch=1 is a get.
func resourceVerb(method string, named bool, query url.Values) string {
	switch method {
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		if named {
			return "delete"
		}
		return "deletecollection"
	case http.MethodGet, http.MethodHead:
		switch {
		case named:
			return "get"
		case Flag(query, "watch"):
			return "watch"
		}
		return "list"
	}
	return "" // a method of the client's own may not become a verb: "WATCH", "list"
}

// Scope is the namespace to read and write in: "" for a cluster-scoped kind.
func (t *Info) Scope() string {
	if t.Kind != nil && !t.Kind.Namespaced {
		return ""
	}
	return t.Namespace
}

// LongRunning tells requests that live as long as their client wants.
func (t *Info) LongRunning() bool {
	if !t.IsResource {
		return false
	}
	switch t.Subresource {
	case "log", "exec", "attach", "portforward", "proxy":
		return true
	}
	return t.Verb == "watch"
}

// GR is the group and resource, as errors name it.
func (t *Info) GR() kschema.GroupResource {
	return kschema.GroupResource{Group: t.Group, Resource: t.Plural}
}
