package gateway

import (
	"net/http"

	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"gantry/agents/gateway/authorize"
	"gantry/agents/gateway/authorize/rbac"
	"gantry/agents/gateway/request"
)

// What tests use of the handlers besides the package's API.
type (
	Handlers = gateway
	Objects  = objects
)

// The verbs by the path that serves them: of an object, and of a collection in all namespaces.
var (
	ObjectVerbs     = objectVerbs
	EverywhereVerbs = everywhereVerbs
)

// Assemble makes handlers of the registry that they ask and of the authorizer.
func Assemble(cfg Config, reg Objects, authz authorize.Authorizer) (*Handlers, error) {
	cfg = cfg.withDefaults()
	return assemble(cfg, reg, rbac.New(cfg.Registry, cfg.Log), authz)
}

// Resources are those that are served now.
func (g *gateway) Resources() []*request.Resource { return g.resources.now().all }

// Read reads a request's head.
func (g *gateway) Read(req *http.Request) *request.Request {
	r := &request.Request{Request: req, Query: req.URL.Query()}
	r.Info = request.ParseInfo(req, r.Query, g.resources)
	return r
}

// HasHandler tells whether a request for a resource has a handler.
func HasHandler(r *request.Request) bool {
	h, err := resourceHandler(r)
	// There is a handler that refuses the watch of what can only be listed.
	return err == nil && h != nil && (r.Verb != "watch" || r.Resource.Handlers["watch"] != nil)
}

// AddAction adds an action of one kind that a POST does.
func (g *gateway) AddAction(plural, name string, handle request.Handler) {
	g.actions = append(g.actions, action{kschema.GroupResource{Resource: plural}, created(name, bindingBody), handle})
}
