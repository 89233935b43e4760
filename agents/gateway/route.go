package gateway

import (
	"net/http"
	"slices"
	"strings"
)

// route finds what serves a request: a resource's handler with the shape its answer is to have, or a page.
func (g *gateway) route(w http.ResponseWriter, r *request) (handler, error) {
	if !r.resource {
		return g.page(r)
	}
	h, err := g.resource(r)
	if err != nil {
		return nil, err
	}
	if proxied(r.subresource) {
		return h, nil
	}
	w.Header().Add("Vary", "Accept")
	list := r.verb == "list" || r.verb == "deletecollection"
	r.shape, err = negotiate(r.Request, wantsPretty(r), resourceShapes(list), r.verb == "watch")
	return h, err
}

// resource finds the handler of a request for a resource.
func (g *gateway) resource(r *request) (handler, error) {
	k := r.kind
	if k == nil || r.fixedNamespace && !k.Namespaced {
		return nil, notFoundPage()
	}
	if v := g.virtual(k); v != nil {
		if r.name != "" || k.Namespaced != r.fixedNamespace {
			return nil, notFoundPage()
		}
		return only(r, "create", v)
	}
	if r.subresource != "" {
		return g.subresource(r)
	}
	if k.Namespaced && !r.fixedNamespace {
		if r.name != "" {
			return nil, notFoundPage()
		}
		if r.verb != "list" && r.verb != "watch" {
			return nil, notAllowed()
		}
	}
	if r.name == "" {
		return g.collection(r)
	}
	return g.object(r)
}

// collection finds the handler of a collection's path.
func (g *gateway) collection(r *request) (handler, error) {
	switch r.verb {
	case "list":
		return g.list, nil
	case "watch":
		return g.watch, nil
	case "create":
		return g.create, nil
	case "deletecollection":
		return g.deleteCollection, nil
	}
	return nil, notAllowed()
}

// object finds the handler of an object's path.
func (g *gateway) object(r *request) (handler, error) {
	switch r.verb {
	case "get":
		return g.get, nil
	case "update":
		return g.update, nil
	case "patch":
		return g.patch, nil
	case "delete":
		return g.delete, nil
	}
	return nil, notAllowed()
}

// subresource finds the handler of a subresource: those that the kind's table names and that are served.
func (g *gateway) subresource(r *request) (handler, error) {
	k := r.kind
	if !servedSubresource(k, r.subresource) || r.rest != "" || k.Namespaced && !r.fixedNamespace {
		return nil, notFoundPage()
	}
	switch r.subresource {
	case "status", "resize":
		return byVerb(r, map[string]handler{"get": g.get, "update": g.update, "patch": g.patch})
	case "scale":
		return byVerb(r, map[string]handler{"get": g.getScale, "update": g.updateScale, "patch": g.patchScale})
	case "binding":
		return only(r, "create", g.bind)
	case "eviction":
		return only(r, "create", g.evict)
	case "token":
		return only(r, "create", g.authn.createToken)
	case "finalize":
		return only(r, "update", g.finalize)
	case "log":
		return only(r, "get", g.streams.Log)
	case "exec", "attach", "portforward":
		return byVerb(r, map[string]handler{"get": g.streams.stream, "create": g.streams.stream})
	}
	return nil, notFoundPage()
}

// proxied tells the subresources that a kubelet answers: their bodies are not objects.
func proxied(subresource string) bool {
	return slices.Contains([]string{"log", "exec", "attach", "portforward"}, subresource)
}

func only(r *request, verb string, h handler) (handler, error) {
	return byVerb(r, map[string]handler{verb: h})
}

func byVerb(r *request, handlers map[string]handler) (handler, error) {
	if h := handlers[r.verb]; h != nil {
		return h, nil
	}
	return nil, notAllowed()
}

// page finds the handler of a path that names no resource.
func (g *gateway) page(r *request) (handler, error) {
	path := strings.TrimSuffix(r.path, "/")
	h := g.findPage(path)
	if h == nil {
		return nil, notFoundPage()
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil, notAllowed()
	}
	return h, nil
}

func (g *gateway) findPage(path string) handler {
	switch path {
	case "":
		return g.docs.paths
	case "/api":
		return g.docs.coreVersions
	case "/apis":
		return g.docs.groups
	case "/version":
		return g.docs.version
	case "/metrics":
		return g.metrics
	case "/openapi/v2":
		return g.docs.openapiV2
	case "/openapi/v3":
		return g.docs.openapiIndex
	case "/.well-known/openid-configuration":
		return g.authn.openidConfiguration
	case "/openid/v1/jwks":
		return g.authn.jwks
	}
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	switch {
	case isHealth(path):
		return g.health
	case path == "/debug/pprof" || strings.HasPrefix(path, "/debug/pprof/"):
		return g.debug
	case strings.HasPrefix(path, "/openapi/v3/"):
		return g.docs.openapiV3
	case parts[0] == "api" && len(parts) == 2:
		return g.docs.resources("", parts[1])
	case parts[0] == "apis" && len(parts) == 2:
		return g.docs.group(parts[1])
	case parts[0] == "apis" && len(parts) == 3:
		return g.docs.resources(parts[1], parts[2])
	}
	return nil
}
