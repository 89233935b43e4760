package gateway

import (
	"net/http"

	"gantry/registry"
)

// finalize changes the finalizers of a namespace's spec, which nothing else may.
func (g *gateway) finalize(w http.ResponseWriter, r *request) error {
	o, err := writeOptions(r.query, "UpdateOptions")
	if err != nil {
		return err
	}
	obj, err := readObject(w, r, o)
	if err != nil {
		return err
	}
	if err := nameObject(r, obj); err != nil {
		return err
	}
	item, err := g.reg.Update(r.Context(), r.kind, obj, registry.WriteOptions{Subresource: "finalize", DryRun: o.dryRun})
	if err != nil {
		return err
	}
	return sendItem(w, r, http.StatusOK, item)
}
