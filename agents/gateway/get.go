package gateway

import (
	"net/http"
	"strings"

	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
)

// get answers with one object.
func (g *gateway) get(w http.ResponseWriter, r *request.Request) error {
	item, err := g.reg.Get(r.Context(), r.Kind, r.Scope(), r.Name, r.Query.Get("resourceVersion"))
	if err != nil {
		return err
	}
	if match := r.Header.Get("If-None-Match"); match != "" && r.Shape.As == "" && strings.Contains(match, request.ETag(item.Revision)) {
		w.Header().Set("ETag", request.ETag(item.Revision))
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return encode.Item(w, r, http.StatusOK, item)
}
