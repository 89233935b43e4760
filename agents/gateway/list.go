package gateway

import (
	"net/http"

	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
)

// list answers with a collection, or a page of it.
func (g *gateway) list(w http.ResponseWriter, r *request.Request) error {
	o, err := request.ReadListOptions(r.Query)
	if err != nil {
		return err
	}
	o.Version = r.Resource.Version
	l, err := g.reg.List(r.Context(), r.Kind, r.Scope(), o)
	if err != nil {
		return err
	}
	return encode.List(w, r, l)
}
