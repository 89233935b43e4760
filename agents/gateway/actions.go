package gateway

import (
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"gantry/agents/gateway/authorize"
	"gantry/agents/gateway/request"
	"gantry/schema"
)

// action is a row: a subresource that is not a part of the object but something that is done with it.
type action struct {
	on kschema.GroupResource
	schema.Subresource
	handler request.Handler // of each of the verbs
}

func (a action) handlers() request.Handlers {
	all := request.Handlers{}
	for _, verb := range a.Verbs {
		all[verb] = a.handler
	}
	return all
}

var (
	nodes           = kschema.GroupResource{Resource: "nodes"}
	services        = kschema.GroupResource{Resource: "services"}
	pods            = kschema.GroupResource{Resource: "pods"}
	serviceAccounts = kschema.GroupResource{Resource: "serviceaccounts"}
)

// allActions are the table of actions. Subresources that are parts of an object, and scale, are rows of their kinds.
func (g *gateway) allActions() []action {
	return []action{
		{pods, connection("attach", "PodAttachOptions", func() runtime.Object { return &corev1.PodAttachOptions{} }), g.stream},
		{pods, connection("exec", "PodExecOptions", func() runtime.Object { return &corev1.PodExecOptions{} }), g.stream},
		{nodes, proxied("NodeProxyOptions", func() runtime.Object { return &corev1.NodeProxyOptions{} }), g.streams.Proxy},
		{pods, proxied("PodProxyOptions", func() runtime.Object { return &corev1.PodProxyOptions{} }), g.streams.Proxy},
		{services, proxied("ServiceProxyOptions", func() runtime.Object { return &corev1.ServiceProxyOptions{} }), g.streams.Proxy},
		{pods, connection("portforward", "PodPortForwardOptions", func() runtime.Object { return &corev1.PodPortForwardOptions{} }), g.stream},
		{pods, schema.Subresource{Name: "log", Verbs: []string{"get"}, Options: func() runtime.Object { return &corev1.PodLogOptions{} }}, g.streams.Log},
		{pods, created("binding", bindingBody), g.bind},
		{pods, created("eviction", evictionBody), g.evict},
		{serviceAccounts, created("token", tokenRequestBody), g.authn.CreateToken},
	}
}

// The bodies of actions.
var (
	bindingBody = &schema.Version{
		Version: "v1", Kind: "Binding",
		New: func() schema.Object { return &corev1.Binding{} },
	}
	evictionBody = &schema.Version{
		Group: "policy", Version: "v1", Kind: "Eviction",
		New: func() schema.Object { return &policyv1.Eviction{} },
	}
	tokenRequestBody = &schema.Version{
		Group: "authentication.k8s.io", Version: "v1", Kind: "TokenRequest",
		New: func() schema.Object { return &authenticationv1.TokenRequest{} },
	}
)

// stream connects to a pod. A WebSocket has to be a GET, and who may read pods may not therefore run commands in them: it needs the
// permission to create the connection as well.
func (g *gateway) stream(w http.ResponseWriter, r *request.Request) error {
	if a := authorize.AttributesOf(r); a.Verb != "create" {
		a.Verb = "create"
		if err := authorize.Require(r.Context(), g.authz, a); err != nil {
			return err
		}
	}
	return g.streams.Stream(w, r)
}

// connection is the row of an action that connects to the object; kind is that of its options.
func connection(name, kind string, options func() runtime.Object) schema.Subresource {
	return schema.Subresource{Name: name, Verbs: []string{"create", "get"}, Body: &schema.Version{Version: "v1", Kind: kind}, Options: options}
}

// proxied is the row of the connection to what an object serves by HTTP; kind is that of its options.
func proxied(kind string, options func() runtime.Object) schema.Subresource {
	s := connection("proxy", kind, options)
	s.Verbs, s.Proxied = []string{"create", "delete", "get", "patch", "update"}, true
	return s
}

// created is the row of an action that is asked for by creating a body.
func created(name string, body *schema.Version) schema.Subresource {
	return schema.Subresource{Name: name, Verbs: []string{"create"}, Body: body}
}
