package gateway

import (
	"net/http"

	"gantry/agents/gateway/decode"
	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/registry"
)

// finalize changes the finalizers of a namespace's spec, which nothing else may.
func (g *gateway) finalize(w http.ResponseWriter, r *request.Request) error {
	o, err := request.ReadWriteOptions(r.Query, "UpdateOptions")
	if err != nil {
		return err
	}
	obj, err := decode.Object(w, r, o)
	if err != nil {
		return err
	}
	if err := decode.NameObject(r, obj); err != nil {
		return err
	}
	item, err := g.reg.Update(r.Context(), r.Kind, obj, registry.WriteOptions{Subresource: "finalize", DryRun: o.DryRun})
	if err != nil {
		return err
	}
	return encode.Item(w, r, http.StatusOK, item)
}
