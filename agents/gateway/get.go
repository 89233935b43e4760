package gateway

import (
	"net/http"
	"strings"
)

// get answers with one object.
func (g *gateway) get(w http.ResponseWriter, r *request) error {
	item, err := g.reg.Get(r.Context(), r.kind, r.scope(), r.name, r.query.Get("resourceVersion"))
	if err != nil {
		return err
	}
	if match := r.Header.Get("If-None-Match"); match != "" && r.shape.as == "" && strings.Contains(match, etag(item.Revision)) {
		w.Header().Set("ETag", etag(item.Revision))
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return sendItem(w, r, http.StatusOK, item)
}
