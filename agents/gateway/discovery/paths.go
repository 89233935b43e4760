package discovery

import (
	"net/http"
	"slices"

	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
)

// Paths answers with the paths that are served.
func (d *Documents) Paths(w http.ResponseWriter, r *request.Request) error {
	all := []string{
		"/.well-known/openid-configuration", "/api", "/apis", "/healthz", "/healthz/ping", "/livez", "/livez/ping",
		"/metrics", "/openapi/v2", "/openapi/v3", "/openapi/v3/", "/openid/v1/jwks", "/readyz", "/readyz/ping", "/registry/", "/version",
	}
	for gv := range d.lists {
		if gv.Group == "" {
			all = append(all, "/api/"+gv.Version)
			continue
		}
		all = append(all, "/apis/"+gv.Group, "/apis/"+gv.String())
	}
	slices.Sort(all)
	r.Shape.Pretty = true
	return encode.Object(w, r, http.StatusOK, map[string][]string{"paths": slices.Compact(all)})
}
