package gateway

import (
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
	if r.Header.Get("If-None-Match") == "*" { // only where there is none yet
		if r.subresource != "" {
			return apierrors.NewBadRequest(fmt.Sprintf("a write of %s does not make an object: If-None-Match may not be *", r.subresource))
		}
		if err := g.mayCreate(r); err != nil {
			return err
		}
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
	var texts []string
	opts := registry.WriteOptions{Subresource: r.subresource, DryRun: o.dryRun, ResourceVersion: match, Decoded: true, Warn: into(&texts)}
	created := g.createOnUpdate(r, obj, &opts)
	item, err := g.reg.Update(r.Context(), r.kind, obj, opts)
	if err != nil {
		return err
	}
	warnAll(w, texts)
	code := http.StatusOK
	if created != nil && *created {
		code = http.StatusCreated
	}
	return g.sendItem(w, r, code, item)
}

// createOnUpdate lets an update create where its kind is created by it and its user may create; created, nil for other kinds,
// tells afterwards that it did.
func (g *gateway) createOnUpdate(r *request, obj schema.Object, o *registry.WriteOptions) (created *bool) {
	if !r.kind.CreateOnUpdate || r.subresource != "" {
		return nil
	}
	done := new(bool)
	o.Create = func() error {
		*done = true
		if err := g.mayCreate(r); err != nil {
			return err
		}
		return g.restrict(r, obj, nil)
	}
	return done
}

// mayCreate refuses an update that is to create, unless its user may create too.
func (g *gateway) mayCreate(r *request) error {
	a := r.attributes()
	a.verb = "create"
	d, reason, err := g.may.authorize(r.Context(), a)
	if d == allowed {
		return nil
	}
	return forbidden(a, reason, err)
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
