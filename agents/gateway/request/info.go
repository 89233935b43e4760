package request

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/fields"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"gantry/schema"
)

// Info is what a request is about. It is the one reading of path, method and query: permission is asked for it,
// the handler is chosen by it and acts on it.
type Info struct {
	// Verb is get, update, patch or delete of the object that the path names, list, watch, deletecollection or create in the
	// collection that it names, "" for a method that resources do not have; without a resource it is the HTTP method in lower case.
	Verb string
	// IsResource tells that the path names a resource, known or not.
	IsResource bool
	// Resource is what the path names, virtual resources included; nil where there is none. Kind is its kind.
	Resource *Resource
	Kind     *schema.Kind
	// Sub is the resource's row of Subresource; nil where there is none.
	Sub                          *Subresource
	Group, Version, Plural       string
	Namespace, Name, Subresource string
	SelectedName                 string // the one name that a list or watch selects, by its field selector or a legacy watch path
	Rest                         string // what follows the subresource, without a leading slash
	Path                         string // as asked
	ByKey                        bool   // it came by /registry/
	LegacyWatch                  bool   // it came by /api/v1/watch/...
	HasNamespace                 bool   // the path has a namespace segment
	upgrades                     bool   // the client asks for another protocol
	empty                        bool   // a segment that names something is empty: it names nothing
}

// Resources find what a path names.
type Resources interface {
	// Resource finds a resource, stored or virtual; nil where there is none.
	Resource(group, version, plural string) *Resource
	// Key parses an etcd key below /registry/.
	Key(rel string) (res *Resource, namespace, name string, ok bool)
}

// keyPrefix is what etcd keys begin with, as paths do that are keys.
const keyPrefix = "/registry/"

// ParseInfo reads a request's path, method and query. The path has been checked by CheckPath.
func ParseInfo(req *http.Request, query url.Values, resources Resources) Info {
	t := Info{Path: req.URL.Path, Verb: strings.ToLower(req.Method), upgrades: req.Header.Get("Upgrade") != ""}
	parts := strings.Split(strings.Trim(t.Path, "/"), "/")
	switch {
	case strings.HasPrefix(t.Path, "//"): // it names nothing
	case strings.HasPrefix(t.Path, keyPrefix) && len(parts) > 1:
		t.parseKey(strings.TrimPrefix(t.Path, keyPrefix), resources)
	case parts[0] == "api" && len(parts) > 2:
		t.parseResource("", parts[1], parts[2:], resources)
	case parts[0] == "apis" && len(parts) > 3 && parts[1] != "":
		t.parseResource(parts[1], parts[2], parts[3:], resources)
	}
	if !t.IsResource {
		return t
	}
	if t.empty {
		t.Verb = resourceVerb(req.Method, t.Name != "", query)
		return t
	}
	if t.Resource = resources.Resource(t.Group, t.Version, t.Plural); t.Resource != nil {
		t.Kind, t.Sub = t.Resource.Kind, t.Resource.Sub(t.Subresource)
	}
	if t.Verb = resourceVerb(req.Method, t.Name != "", query); t.LegacyWatch {
		t.watchLegacy(req.Method)
	}
	if t.Verb == "list" || t.Verb == "watch" {
		// A collection narrowed to one name is permitted like that object, as the kubelet asks for its node.
		if s, err := fields.ParseSelector(query.Get("fieldSelector")); err == nil {
			if name, ok := s.RequiresExactMatch("metadata.name"); ok && t.SelectedName == "" && len(path.IsValidPathSegmentName(name)) == 0 {
				t.SelectedName = name
			}
		}
	}
	if t.Group == "" && t.Plural == "namespaces" && t.Name != "" {
		t.Namespace = t.Name // permission for a namespace is asked inside it, as Kubernetes does
	}
	return t
}

// watchLegacy makes a request at a legacy watch path a watch of the collection, of one object where the path names one. Only GET is
// served there.
func (t *Info) watchLegacy(method string) {
	t.SelectedName, t.Name = t.Name, ""
	everywhere := t.Kind != nil && t.Kind.Namespaced && !t.HasNamespace
	switch {
	case t.Subresource != "", t.SelectedName != "" && everywhere:
		t.Resource, t.Kind, t.Sub = nil, nil, nil
	case method == http.MethodGet:
		t.Verb = "watch"
	default:
		t.Verb = ""
	}
}

// NarrowFields is the field selector of a watch together with the name that a legacy watch path names.
func (t *Info) NarrowFields(selector string) (string, error) {
	if !t.LegacyWatch || t.SelectedName == "" {
		return selector, nil
	}
	byName := fields.OneTermEqualSelector("metadata.name", t.SelectedName).String()
	if selector == "" {
		return byName, nil
	}
	if s, err := fields.ParseSelector(selector); err == nil {
		if name, ok := s.RequiresExactMatch("metadata.name"); !ok || name != t.SelectedName {
			return "", apierrors.NewBadRequest("fieldSelector metadata.name doesn't match requested name")
		}
	}
	return selector, nil
}

// parseResource reads [watch/][namespaces/<ns>/]<plural>[/<name>[/<subresource>[/<rest>]]]. What follows a namespace's name is a
// resource in it, unless namespaces have that subresource. watch/ is the form of watches before ?watch=1.
func (t *Info) parseResource(group, version string, parts []string, resources Resources) {
	t.IsResource, t.Group, t.Version = true, group, version
	if parts[0] == "watch" && len(parts) > 1 {
		t.LegacyWatch = true
		parts = parts[1:]
	}
	if parts[0] == "namespaces" && len(parts) > 2 && !hasSub(resources.Resource(group, version, parts[0]), parts[2]) {
		t.Namespace, t.HasNamespace = parts[1], true
		parts = parts[2:]
	}
	t.Plural = parts[0]
	if len(parts) > 1 {
		t.Name = parts[1]
	}
	t.empty = t.HasNamespace && t.Namespace == "" || slices.Contains(parts[:min(len(parts), 3)], "")
	if len(parts) > 2 {
		t.Subresource = parts[2]
		t.Rest = strings.Join(parts[3:], "/")
	}
}

// parseKey reads an etcd key below /registry/.
func (t *Info) parseKey(key string, resources Resources) {
	res, namespace, name, ok := resources.Key(key)
	if !ok {
		return
	}
	t.IsResource, t.ByKey = true, true
	t.Group, t.Version, t.Plural = res.Version.Group, res.Version.Version, res.Kind.Plural
	t.Namespace, t.Name, t.HasNamespace = namespace, name, namespace != ""
}

func hasSub(r *Resource, name string) bool { return r != nil && r.Sub(name) != nil }

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

// LongRunning returns whether the request lasts as long as its client wants. Of a resource that the gateway does not know, an extension server's,
// that is by the names of its subresources and by the change of its connection's protocol.
func (t *Info) LongRunning() bool {
	return t.IsResource && (t.Verb == "watch" || t.Sub.IsStream() || t.Resource == nil && (t.upgrades || slices.Contains(streamNames, t.Subresource)))
}

// streamNames are the subresources that Kubernetes takes for long-running ones in every group.
var streamNames = []string{"attach", "exec", "log", "portforward", "proxy"}

// GR is the group and resource, as errors name it.
func (t *Info) GR() kschema.GroupResource {
	return kschema.GroupResource{Group: t.Group, Resource: t.Plural}
}
