package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/fields"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"gantry/schema"
)

// target is what a request is about. It is the one reading of path, method and query: permission is asked for it (attributes),
// the handler is chosen by it (route) and acts on it.
type target struct {
	// verb is get, update, patch or delete of the object that the path names, list, watch, deletecollection or create in the
	// collection that it names, "" for a method that resources do not have; without a resource it is the HTTP method in lower case.
	verb string
	// resource tells that the path names a resource, known or not.
	resource bool
	// kind is the resource's kind, virtual ones included; nil where there is none.
	kind                         *schema.Kind
	group, version, plural       string
	namespace, name, subresource string
	selected                     string // the one name that a list or watch selects by its field selector
	rest                         string // what follows the subresource, without a leading slash
	path                         string // as asked
	door                         bool   // it came by /registry/
	fixedNamespace               bool   // the path has a namespace segment
}

// resources find the kind that a path names.
type resources interface {
	// Resource finds a kind, stored or virtual, by its place in the API; nil where there is none.
	Resource(group, version, plural string) *schema.Kind
	// Key takes an etcd key below /registry/ apart.
	Key(rel string) (k *schema.Kind, namespace, name string, ok bool)
}

// parseTarget takes a request's path apart. The path has been checked by checkPath.
func parseTarget(req *http.Request, query url.Values, kinds resources) target {
	t := target{path: req.URL.Path, verb: strings.ToLower(req.Method)}
	parts := strings.Split(strings.Trim(t.path, "/"), "/")
	switch {
	case parts[0] == "registry" && len(parts) > 1:
		t.parseKey(strings.TrimPrefix(t.path, "/registry/"), kinds)
	case parts[0] == "api" && len(parts) > 2:
		t.parseResource("", parts[1], parts[2:])
	case parts[0] == "apis" && len(parts) > 3:
		t.parseResource(parts[1], parts[2], parts[3:])
	}
	if !t.resource {
		return t
	}
	t.kind = kinds.Resource(t.group, t.version, t.plural)
	t.verb = resourceVerb(req.Method, t.name != "", query)
	if t.verb == "list" || t.verb == "watch" {
		// A collection narrowed to one name is permitted like that object, as the kubelet asks for its node.
		if s, err := fields.ParseSelector(query.Get("fieldSelector")); err == nil {
			if name, ok := s.RequiresExactMatch("metadata.name"); ok && len(path.IsValidPathSegmentName(name)) == 0 {
				t.selected = name
			}
		}
	}
	if t.group == "" && t.plural == "namespaces" && t.name != "" {
		t.namespace = t.name // permission for a namespace is asked inside it, as Kubernetes does
	}
	return t
}

// parseResource reads [namespaces/<ns>/]<plural>[/<name>[/<subresource>[/<rest>]]].
func (t *target) parseResource(group, version string, parts []string) {
	t.resource, t.group, t.version = true, group, version
	if parts[0] == "namespaces" && len(parts) > 2 && parts[2] != "status" && parts[2] != "finalize" {
		t.namespace, t.fixedNamespace = parts[1], true
		parts = parts[2:]
	}
	t.plural = parts[0]
	if len(parts) > 1 {
		t.name = parts[1]
	}
	if len(parts) > 2 {
		t.subresource = parts[2]
		t.rest = strings.Join(parts[3:], "/")
	}
}

// parseKey reads an etcd key below /registry/.
func (t *target) parseKey(key string, kinds resources) {
	k, namespace, name, ok := kinds.Key(key)
	if !ok {
		return
	}
	t.resource, t.door = true, true
	t.group, t.version, t.plural = k.Group, k.Version, k.Plural
	t.namespace, t.name, t.fixedNamespace = namespace, name, namespace != ""
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
		case flag(query, "watch"):
			return "watch"
		}
		return "list"
	}
	return "" // a method of the client's own may not become a verb: "WATCH", "list"
}

// scope is the namespace to read and write in: "" for a cluster-scoped kind.
func (t *target) scope() string {
	if t.kind != nil && !t.kind.Namespaced {
		return ""
	}
	return t.namespace
}

// longRunning tells requests that live as long as their client wants.
func (t *target) longRunning() bool {
	if !t.resource {
		return false
	}
	switch t.subresource {
	case "log", "exec", "attach", "portforward", "proxy":
		return true
	}
	return t.verb == "watch"
}

// gr is the group and resource, as errors name it.
func (t *target) gr() kschema.GroupResource {
	return kschema.GroupResource{Group: t.group, Resource: t.plural}
}
