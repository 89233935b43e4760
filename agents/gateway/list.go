package gateway

import (
	"net/http"
)

// list answers with a collection, or a page of it.
func (g *gateway) list(w http.ResponseWriter, r *request) error {
	o, err := listOptions(r.query)
	if err != nil {
		return err
	}
	l, err := g.reg.List(r.Context(), r.kind, r.scope(), o)
	if err != nil {
		return err
	}
	return sendList(w, r, l)
}
