package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"gantry/registry"
	"gantry/schema"
)

// update replaces an object, or its status, with the body.
func (g *gateway) update(w http.ResponseWriter, r *request) error {
	o, err := writeOptions(r.query, "UpdateOptions")
	if err != nil {
		return err
	}
	obj, err := g.readObject(w, r, o)
	if err != nil {
		return err
	}
	if err := nameObject(r, obj); err != nil {
		return err
	}
	if r.Header.Get("If-None-Match") == "*" { // the second door's create
		obj.SetResourceVersion("")
		return g.createObject(w, r, obj, o)
	}
	match, err := ifMatch(r.Request)
	if err != nil {
		return err
	}
	if match != "" {
		obj.SetResourceVersion(match)
	}
	if g.restricted(r) {
		old, err := g.reg.Get(r.Context(), r.kind, r.scope(), r.name, "")
		if err != nil {
			return err
		}
		if err := g.restrict(r, obj, old.Object()); err != nil {
			return err
		}
		if obj.GetResourceVersion() == "" { // what was judged is what is replaced
			obj.SetResourceVersion(strconv.FormatInt(old.Revision, 10))
		}
	}
	if r.kind.CreateOnUpdate && r.subresource == "" && obj.GetResourceVersion() == "" && obj.GetUID() == "" {
		_, err := g.reg.Get(r.Context(), r.kind, r.scope(), r.name, "")
		if errors.Is(err, registry.NotFound) {
			return g.createObject(w, r, obj, o)
		}
	}
	var texts []string
	item, err := g.reg.Update(r.Context(), r.kind, obj, registry.WriteOptions{
		Subresource: r.subresource, DryRun: o.dryRun, ResourceVersion: match, Decoded: true, Warn: into(&texts),
	})
	if err != nil {
		return err
	}
	warnAll(w, texts)
	return g.sendItem(w, r, http.StatusOK, item)
}

// nameObject gives an object without a name the path's in the second door; by the first it must have it.
func nameObject(r *request, obj schema.Object) error {
	switch {
	case obj.GetName() == r.name:
	case obj.GetName() == "" && r.door:
		obj.SetName(r.name)
	case obj.GetName() == "":
		return apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s based on URL) was undeterminable: name must be provided", r.name))
	default:
		return apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", obj.GetName(), r.name))
	}
	return nil
}
