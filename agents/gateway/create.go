package gateway

import (
	"net/http"

	"gantry/agents/gateway/authorize/rbac"
	"gantry/agents/gateway/decode"
	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/schema"
)

// create stores the body as a new object.
func (g *gateway) create(w http.ResponseWriter, r *request.Request) error {
	if err := decode.CheckMedia(r.Request); err != nil {
		return err
	}
	o, err := request.ReadWriteOptions(r.Query, "CreateOptions")
	if err != nil {
		return err
	}
	obj, err := decode.Object(w, r, o)
	if err != nil {
		return err
	}
	return g.createObject(w, r, obj, o)
}

// checkWrite refuses what may not be written because of who writes it; old is nil for a new object. It is asked for updates where checksOld
// says so.
func (g *gateway) checkWrite(r *request.Request, obj, old schema.Object) error {
	if err := g.nodes.Check(r, obj, old); err != nil {
		return err
	}
	return g.roles.Check(r, g.authz, obj, old)
}

func (g *gateway) checksOld(r *request.Request) bool {
	return g.nodes.Applies(r) || rbac.Checks(r.Kind)
}

func (g *gateway) createObject(w http.ResponseWriter, r *request.Request, obj schema.Object, o request.WriteOptions) error {
	if err := g.checkWrite(r, obj, nil); err != nil {
		return err
	}
	var texts []string
	opts := o.For(r)
	opts.Decoded, opts.Warn = true, encode.CollectWarnings(&texts)
	item, err := g.reg.Create(r.Context(), r.Kind, obj, opts)
	encode.Warnings(w, texts)
	if err != nil {
		return err
	}
	return encode.Item(w, r, http.StatusCreated, item)
}
