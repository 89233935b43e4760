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
	obj, err := readObject(w, r, o)
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
	if g.nodes.restricted(r) {
		old, err := g.reg.Get(r.Context(), r.kind, r.scope(), r.name, "")
		if err != nil {
			return err
		}
		if err := g.nodes.restrict(r, obj, old.Object()); err != nil {
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
	return sendItem(w, r, code, item)
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
		return g.nodes.restrict(r, obj, nil)
	}
	return done
}

// mayCreate refuses an update that is to create, unless its user may create too.
func (g *gateway) mayCreate(r *request) error {
	a := attributesOf(r)
	a.verb = "create"
	return require(r.Context(), g.may, a)
}
