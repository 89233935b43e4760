package gateway

import (
	"net/http"

	"gantry/registry"
	"gantry/schema"
)

// create stores the body as a new object.
func (g *gateway) create(w http.ResponseWriter, r *request) error {
	o, err := writeOptions(r.query, "CreateOptions")
	if err != nil {
		return err
	}
	obj, err := readObject(w, r, o)
	if err != nil {
		return err
	}
	return g.createObject(w, r, obj, o)
}

func (g *gateway) createObject(w http.ResponseWriter, r *request, obj schema.Object, o writing) error {
	if err := g.nodes.restrict(r, obj, nil); err != nil {
		return err
	}
	var texts []string
	item, err := g.reg.Create(r.Context(), r.kind, obj, registry.WriteOptions{DryRun: o.dryRun, Decoded: true, Warn: into(&texts)})
	if err != nil {
		return err
	}
	warnAll(w, texts)
	return sendItem(w, r, http.StatusCreated, item)
}
