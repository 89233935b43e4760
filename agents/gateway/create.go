package gateway

import (
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"gantry/registry"
	"gantry/schema"
)

// create stores the body as a new object.
func (g *gateway) create(w http.ResponseWriter, r *request) error {
	o, err := writeOptions(r.query, "CreateOptions")
	if err != nil {
		return err
	}
	obj, err := g.readObject(w, r, o)
	if err != nil {
		return err
	}
	return g.createObject(w, r, obj, o)
}

func (g *gateway) createObject(w http.ResponseWriter, r *request, obj schema.Object, o writing) error {
	if err := g.restrict(r, obj, nil); err != nil {
		return err
	}
	var texts []string
	item, err := g.reg.Create(r.Context(), r.kind, obj, registry.WriteOptions{DryRun: o.dryRun, Decoded: true, Warn: into(&texts)})
	if err != nil {
		return err
	}
	warnAll(w, texts)
	return g.sendItem(w, r, http.StatusCreated, item)
}

// readObject reads the body as an object of the request's kind, in the request's namespace.
func (g *gateway) readObject(w http.ResponseWriter, r *request, o writing) (schema.Object, error) {
	obj, err := readKind(w, r.Request, r.kind, o)
	if err != nil {
		return nil, err
	}
	if err := r.Context().Err(); err != nil { // decoding takes time, and so does what is next
		return nil, err
	}
	return obj, placeObject(obj, r.scope())
}

// placeObject puts an object without a namespace into the request's; any other must be in it.
func placeObject(obj schema.Object, namespace string) error {
	switch obj.GetNamespace() {
	case namespace:
	case "":
		obj.SetNamespace(namespace)
	default:
		return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	return nil
}

// into collects the warnings of a write, which count once it has succeeded.
func into(texts *[]string) func([]string) { return func(t []string) { *texts = t } }

func warnAll(w http.ResponseWriter, texts []string) {
	for _, text := range texts {
		warn(w, text)
	}
}
