package gateway

import (
	"errors"
	"fmt"
	"net/http"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/gateway/decode"
	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/registry"
	"gantry/schema"
)

// applyType is the type of a patch that is server-side apply.
const applyType = string(types.ApplyYAMLPatchType)

// apply merges the body into an object, or its status, or creates the object.
func (g *gateway) apply(w http.ResponseWriter, r *request.Request, body []byte, o request.WriteOptions) error {
	item, created, err := g.applyBody(w, r, body, o, func(obj, old schema.Object) error {
		if err := errors.Join(decode.NameObject(r, obj), decode.PlaceObject(obj, r.Scope())); err != nil {
			return err
		}
		return g.checkWrite(r, obj, old)
	})
	if err != nil {
		return err
	}
	code := http.StatusOK
	if created {
		code = http.StatusCreated
	}
	return encode.Item(w, r, code, item)
}

// applyScale merges the body, a Scale, into the scale of an object.
func (g *gateway) applyScale(w http.ResponseWriter, r *request.Request, body []byte, o request.WriteOptions) error {
	item, _, err := g.applyBody(w, r, body, o, func(obj, old schema.Object) error {
		if err := errors.Join(decode.NameObject(r, obj), decode.PlaceObject(obj, r.Scope())); err != nil {
			return err
		}
		return checkScale(r, obj.(*autoscalingv1.Scale), old)
	})
	if err != nil {
		return err
	}
	return sendScale(w, r, item)
}

// applyBody applies a body in YAML. check is that of registry.Application.
func (g *gateway) applyBody(w http.ResponseWriter, r *request.Request, body []byte, o request.WriteOptions, check func(obj, old schema.Object) error) (*registry.Item, bool, error) {
	match, err := request.IfMatch(r.Request)
	if err != nil {
		return nil, false, err
	}
	config, twice, err := decode.Configuration(body, !o.Ignore)
	if err != nil {
		return nil, false, err
	}
	var texts []string
	opts := o.For(r)
	opts.ResourceVersion, opts.Decoded, opts.Warn = match, true, encode.CollectWarnings(&texts)
	opts.Create = func() error { return g.mayCreate(r) }
	item, created, err := g.reg.Apply(r.Context(), r.Kind, r.Scope(), r.Name, registry.Application{
		Config: config, Force: o.Force,
		Check: func(obj, old schema.Object) error {
			if err := r.Context().Err(); err != nil {
				return err
			}
			if twice != nil && o.Strict {
				return apierrors.NewBadRequest(fmt.Sprintf("error strict decoding YAML: %v", twice))
			}
			return check(obj, old)
		},
	}, opts)
	if twice != nil && !o.Strict {
		encode.Warning(w, twice.Error())
	}
	encode.Warnings(w, texts)
	return item, created, err
}
