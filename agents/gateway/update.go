package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"gantry/agents/gateway/authorize"
	"gantry/agents/gateway/decode"
	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/registry"
	"gantry/schema"
)

// update replaces an object, or its status, with the body.
func (g *gateway) update(w http.ResponseWriter, r *request.Request) error {
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
	if r.Header.Get("If-None-Match") == "*" { // only where there is none yet
		if r.Subresource != "" {
			return apierrors.NewBadRequest(fmt.Sprintf("a write of %s does not make an object: If-None-Match may not be *", r.Subresource))
		}
		if err := g.mayCreate(r); err != nil {
			return err
		}
		obj.SetResourceVersion("")
		return g.createObject(w, r, obj, o)
	}
	match, err := request.IfMatch(r.Request)
	if err != nil {
		return err
	}
	if match != "" {
		obj.SetResourceVersion(match)
	}
	if g.checksOld(r) {
		if err := g.checkUpdate(r, obj); err != nil {
			return err
		}
	}
	var texts []string
	opts := o.For(r)
	opts.ResourceVersion, opts.Decoded, opts.Warn = match, true, encode.CollectWarnings(&texts)
	created := g.createOnUpdate(r, obj, &opts)
	item, err := g.reg.Update(r.Context(), r.Kind, obj, opts)
	encode.Warnings(w, texts)
	if err != nil {
		return err
	}
	code := http.StatusOK
	if created != nil && *created {
		code = http.StatusCreated
	}
	return encode.Item(w, r, code, item)
}

// checkUpdate is checkWrite for an object that is to replace the one of its name. What was checked is what is replaced; an object that is to be
// created is checked again then.
func (g *gateway) checkUpdate(r *request.Request, obj schema.Object) error {
	old, err := g.reg.Get(r.Context(), r.Kind, r.Scope(), r.Name, "")
	switch {
	case errors.Is(err, registry.NotFound) && r.Kind.CreateOnUpdate:
		return g.checkWrite(r, obj, nil)
	case err != nil:
		return err
	}
	if err := g.checkWrite(r, obj, old.Object()); err != nil {
		return err
	}
	if obj.GetResourceVersion() == "" {
		obj.SetResourceVersion(strconv.FormatInt(old.Revision, 10))
	}
	return nil
}

// createOnUpdate lets an update create an absent object where the kind allows that and the user may create; created, nil for other
// kinds, is whether it did.
func (g *gateway) createOnUpdate(r *request.Request, obj schema.Object, o *registry.WriteOptions) (created *bool) {
	if !r.Kind.CreateOnUpdate || r.Subresource != "" {
		return nil
	}
	done := new(bool)
	o.Create = func() error {
		*done = true
		if err := g.mayCreate(r); err != nil {
			return err
		}
		return g.checkWrite(r, obj, nil)
	}
	return done
}

// mayCreate refuses an update that is to create, unless its user may create too.
func (g *gateway) mayCreate(r *request.Request) error {
	a := authorize.AttributesOf(r)
	a.Verb = "create"
	return authorize.Require(r.Context(), g.authz, a)
}
