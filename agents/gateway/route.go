package gateway

import (
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"gantry/agents/gateway/aggregate"
	"gantry/agents/gateway/decode"
	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/registry/selector"
)

// route finds what serves a request: a resource's handler with the shape its answer is to have, or a page.
func (g *gateway) route(w http.ResponseWriter, r *request.Request) (request.Handler, error) {
	if s := g.extensionOf(r); s != nil {
		return g.extensions.Proxy(s), nil
	}
	if !r.IsResource {
		return g.page(r)
	}
	if r.Group != "" && !g.resources.now().groups[r.Group] {
		return noPage, nil
	}
	h, err := resourceHandler(r)
	if h == nil && err == nil {
		if r.Group != "" && g.resources.now().custom[r.Group] {
			return noPage, nil
		}
		return nil, request.NotFound()
	}
	if text := r.Resource.Version.DeprecationWarning; text != "" && (isCustom(r) || err == nil && routed(r)) {
		encode.Warning(w, text)
	}
	if err != nil {
		return nil, err
	}
	if r.Sub.IsStream() {
		return h, nil
	}
	w.Header().Add("Vary", "Accept")
	r.Shape, err = request.ResourceShape(r)
	return h, err
}

// extensionOf is the API service whose server serves a request; nil: the gateway does.
func (g *gateway) extensionOf(r *request.Request) *aggregate.Service {
	all := g.extensions.Now()
	switch {
	case all == nil || r.ByKey:
		return nil
	case r.IsResource:
		return all.Of(r.Group, r.Version)
	}
	parts := strings.Split(strings.Trim(r.Path, "/"), "/")
	if len(parts) != 3 || parts[0] != "apis" {
		return nil
	}
	return all.Of(parts[1], parts[2])
}

// routed tells whether Kubernetes' router would let a request through to its handler, by its media types. Requests for custom kinds always get there.
func routed(r *request.Request) bool {
	if r.Resource.Version.IsUnstructured() {
		return true
	}
	if r.Method == http.MethodPatch {
		media, _, err := decode.MediaType(r.Header.Get("Content-Type"))
		return err == nil && slices.Contains(patchTypes, media)
	}
	return request.TakesOne(r)
}

// The verbs of a path, by what it names. Other methods are not allowed there.
var (
	objectVerbs     = []string{"get", "update", "patch", "delete"}
	collectionVerbs = []string{"list", "watch", "create", "deletecollection"}
	everywhereVerbs = []string{"list", "watch"} // of a collection in all namespaces
)

// isCustom tells whether a request is for a custom kind, which Kubernetes' router does not know.
func isCustom(r *request.Request) bool { return r.Resource.Version.IsUnstructured() }

// resourceHandler finds the handler of a request for a resource in the resource's rows. It is nil at a path that none of its verbs is
// served at, which does not exist.
func resourceHandler(r *request.Request) (request.Handler, error) {
	res := r.Resource
	if res == nil || r.HasNamespace && !res.Kind.Namespaced {
		return nil, nil
	}
	everywhere := res.Kind.Namespaced && !r.HasNamespace
	switch {
	case r.Subresource != "":
		if r.Sub == nil && isCustom(r) && !everywhere {
			return nil, apierrors.NewNotFound(r.GR(), r.Name)
		}
		if r.Sub == nil || r.Rest != "" && !r.Sub.Proxied || everywhere {
			return nil, nil
		}
		if r.Sub.Proxied && (r.Method == http.MethodHead || r.Method == http.MethodOptions) {
			return r.Sub.Handlers["get"], nil // its verb is "get" and ""
		}
		return handlerOf(r, r.Sub.Handlers, nil)
	case r.Name != "" && everywhere:
		return nil, nil
	case r.Name != "":
		return handlerOf(r, res.Handlers, objectVerbs)
	case everywhere && r.Verb != "list" && r.Verb != "watch" && isCustom(r):
		return nil, nil
	case everywhere:
		return handlerOf(r, res.Handlers, everywhereVerbs)
	}
	return handlerOf(r, res.Handlers, collectionVerbs)
}

// handlerOf finds the handler of the request's verb at a path that has verbs; nil: all that there are handlers of.
func handlerOf(r *request.Request, handlers request.Handlers, verbs []string) (request.Handler, error) {
	if verbs != nil && !slices.ContainsFunc(verbs, func(v string) bool { return handlers[v] != nil }) {
		return nil, nil
	}
	if r.Method == http.MethodHead && !r.ByKey && !isCustom(r) {
		return nil, request.MethodNotAllowed() // as Kubernetes' router, which custom kinds are not behind
	}
	if h := handlers[r.Verb]; h != nil && (verbs == nil || slices.Contains(verbs, r.Verb)) {
		return h, nil
	}
	if r.Verb == "watch" && !r.LegacyWatch && verbs != nil && handlers["list"] != nil {
		return noWatch, nil
	}
	switch {
	case isCustom(r) && r.Name == "" && (r.Verb == "update" || r.Verb == "patch"):
		return nil, apierrors.NewBadRequest("name must be provided")
	case isCustom(r):
		return nil, apierrors.NewMethodNotSupported(r.GR(), r.Verb)
	}
	return nil, request.MethodNotAllowed()
}

// noWatch answers to a watch of what can be listed and not watched.
func noWatch(_ http.ResponseWriter, r *request.Request) error {
	o, _, err := request.ReadWatchOptions(r.Query)
	if err != nil {
		return err
	}
	if _, err := selector.Parse(r.Kind, nil, r.Scope(), o.Labels, o.Fields); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	return apierrors.NewMethodNotSupported(r.GR(), "watch")
}

// page finds the handler of a path that names no resource.
func (g *gateway) page(r *request.Request) (request.Handler, error) {
	path := strings.TrimSuffix(r.Path, "/")
	h := g.findPage(path)
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	// By Kubernetes' router, which has no HEAD. Its other pages do not look at the method.
	routed := parts[0] == "api" || parts[0] == "apis" && len(parts) > 2 || path == "/version" || path == openIDConfiguration || path == openIDKeys
	switch {
	case h == nil && (parts[0] == "api" || parts[0] == "apis" && len(parts) > 1 && g.resources.now().groups[parts[1]]):
		return nil, request.NotFound()
	case h == nil, isHealth(path) && path != r.Path:
		return noPage, nil
	case routed && r.Method != http.MethodGet, r.Method == http.MethodConnect:
		return nil, request.MethodNotAllowed()
	}
	return h, nil
}

// noPage answers at a path that nothing knows, a group's that there is not, in plain text, as Kubernetes does.
func noPage(w http.ResponseWriter, r *request.Request) error {
	http.NotFound(w, r.Request)
	return nil
}

const (
	openIDConfiguration = "/.well-known/openid-configuration"
	openIDKeys          = "/openid/v1/jwks"
)

func (g *gateway) findPage(path string) request.Handler {
	docs := g.resources.now().docs()
	switch path {
	case "":
		return docs.Paths
	case "/api":
		return docs.CoreVersions
	case "/apis":
		return docs.Groups
	case "/version":
		return docs.Version
	case "/metrics":
		return g.metrics
	case "/openapi/v2":
		return docs.OpenAPIV2
	case "/openapi/v3":
		return docs.OpenAPIIndex
	case openIDConfiguration:
		return g.authn.OpenIDConfiguration
	case openIDKeys:
		return g.authn.JWKS
	}
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	switch {
	case isHealth(path):
		return g.health
	case path == "/debug/pprof" || strings.HasPrefix(path, "/debug/pprof/"):
		return g.debug
	case strings.HasPrefix(path, "/openapi/v3/"):
		return docs.OpenAPIV3
	case parts[0] == "api" && len(parts) == 2:
		return docs.Resources("", parts[1])
	case parts[0] == "apis" && len(parts) == 2:
		return docs.Group(parts[1])
	case parts[0] == "apis" && len(parts) == 3:
		return docs.Resources(parts[1], parts[2])
	}
	return nil
}
