package gateway

import (
	"net/http"
	"slices"
	"strings"

	"gantry/agents/gateway/request"
)

// route finds what serves a request: a resource's handler with the shape its answer is to have, or a page.
func (g *gateway) route(w http.ResponseWriter, r *request.Request) (request.Handler, error) {
	if !r.IsResource {
		return g.page(r)
	}
	h, err := g.resource(r)
	if err != nil {
		return nil, err
	}
	if proxied(r.Subresource) {
		return h, nil
	}
	w.Header().Add("Vary", "Accept")
	list := r.Verb == "list" || r.Verb == "deletecollection"
	r.Shape, err = request.Negotiate(r.Request, request.WantsPretty(r), request.ResourceShapes(list), r.Verb == "watch")
	return h, err
}

// resource finds the handler of a request for a resource.
func (g *gateway) resource(r *request.Request) (request.Handler, error) {
	k := r.Kind
	if k == nil || r.HasNamespace && !k.Namespaced {
		return nil, request.NotFound()
	}
	if v := g.virtual(k); v != nil {
		if r.Name != "" || k.Namespaced != r.HasNamespace {
			return nil, request.NotFound()
		}
		return only(r, "create", v)
	}
	if r.Subresource != "" {
		return g.subresource(r)
	}
	if k.Namespaced && !r.HasNamespace {
		if r.Name != "" {
			return nil, request.NotFound()
		}
		if r.Verb != "list" && r.Verb != "watch" {
			return nil, request.MethodNotAllowed()
		}
	}
	if r.Name == "" {
		return g.collection(r)
	}
	return g.object(r)
}

// collection finds the handler of a collection's path.
func (g *gateway) collection(r *request.Request) (request.Handler, error) {
	switch r.Verb {
	case "list":
		return g.list, nil
	case "watch":
		return g.watch, nil
	case "create":
		return g.create, nil
	case "deletecollection":
		return g.deleteCollection, nil
	}
	return nil, request.MethodNotAllowed()
}

// object finds the handler of an object's path.
func (g *gateway) object(r *request.Request) (request.Handler, error) {
	switch r.Verb {
	case "get":
		return g.get, nil
	case "update":
		return g.update, nil
	case "patch":
		return g.patch, nil
	case "delete":
		return g.delete, nil
	}
	return nil, request.MethodNotAllowed()
}

// subresource finds the handler of a subresource: those that the kind's table names and that are served.
func (g *gateway) subresource(r *request.Request) (request.Handler, error) {
	k := r.Kind
	if !servedSubresource(k, r.Subresource) || r.Rest != "" || k.Namespaced && !r.HasNamespace {
		return nil, request.NotFound()
	}
	switch r.Subresource {
	case "status", "resize":
		return byVerb(r, map[string]request.Handler{"get": g.get, "update": g.update, "patch": g.patch})
	case "scale":
		return byVerb(r, map[string]request.Handler{"get": g.getScale, "update": g.updateScale, "patch": g.patchScale})
	case "binding":
		return only(r, "create", g.bind)
	case "eviction":
		return only(r, "create", g.evict)
	case "token":
		return only(r, "create", g.authn.CreateToken)
	case "finalize":
		return only(r, "update", g.finalize)
	case "log":
		return only(r, "get", g.streams.Log)
	case "exec", "attach", "portforward":
		return byVerb(r, map[string]request.Handler{"get": g.streams.Stream, "create": g.streams.Stream})
	}
	return nil, request.NotFound()
}

// proxied tells the subresources that a kubelet answers: their bodies are not objects.
func proxied(subresource string) bool {
	return slices.Contains([]string{"log", "exec", "attach", "portforward"}, subresource)
}

func only(r *request.Request, verb string, h request.Handler) (request.Handler, error) {
	return byVerb(r, map[string]request.Handler{verb: h})
}

func byVerb(r *request.Request, handlers map[string]request.Handler) (request.Handler, error) {
	if h := handlers[r.Verb]; h != nil {
		return h, nil
	}
	return nil, request.MethodNotAllowed()
}

// page finds the handler of a path that names no resource.
func (g *gateway) page(r *request.Request) (request.Handler, error) {
	path := strings.TrimSuffix(r.Path, "/")
	h := g.findPage(path)
	if h == nil {
		return nil, request.NotFound()
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil, request.MethodNotAllowed()
	}
	return h, nil
}

func (g *gateway) findPage(path string) request.Handler {
	switch path {
	case "":
		return g.docs.Paths
	case "/api":
		return g.docs.CoreVersions
	case "/apis":
		return g.docs.Groups
	case "/version":
		return g.docs.Version
	case "/metrics":
		return g.metrics
	case "/openapi/v2":
		return g.docs.OpenAPIV2
	case "/openapi/v3":
		return g.docs.OpenAPIIndex
	case "/.well-known/openid-configuration":
		return g.authn.OpenIDConfiguration
	case "/openid/v1/jwks":
		return g.authn.JWKS
	}
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	switch {
	case isHealth(path):
		return g.health
	case path == "/debug/pprof" || strings.HasPrefix(path, "/debug/pprof/"):
		return g.debug
	case strings.HasPrefix(path, "/openapi/v3/"):
		return g.docs.OpenAPIV3
	case parts[0] == "api" && len(parts) == 2:
		return g.docs.Resources("", parts[1])
	case parts[0] == "apis" && len(parts) == 2:
		return g.docs.Group(parts[1])
	case parts[0] == "apis" && len(parts) == 3:
		return g.docs.Resources(parts[1], parts[2])
	}
	return nil
}
