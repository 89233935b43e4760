package gateway

import (
	"errors"
	"fmt"
	"net/http"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/agents/gateway/decode"
	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/registry"
	"gantry/schema"
)

func (g *gateway) getScale(w http.ResponseWriter, r *request.Request) error {
	item, err := g.reg.Get(r.Context(), r.Kind, r.Scope(), r.Name, r.Query.Get("resourceVersion"))
	if err != nil {
		return err
	}
	return sendScale(w, r, item)
}

// sendScale answers with the Scale of an object as the request's version has it.
func sendScale(w http.ResponseWriter, r *request.Request, item *registry.Item) error {
	rules := r.Kind.RulesOf(r.Resource.Version)
	obj, err := item.ObjectAs(r.Context(), rules.Stored())
	if err != nil {
		return err
	}
	return encode.Object(w, r, http.StatusOK, rules.Scale().Of(obj))
}

func (g *gateway) updateScale(w http.ResponseWriter, r *request.Request) error {
	o, err := request.ReadWriteOptions(r.Query, "UpdateOptions")
	if err != nil {
		return err
	}
	obj, err := decode.Version(w, r, schema.ScaleBody, o)
	if err != nil {
		return err
	}
	if err := errors.Join(decode.NameObject(r, obj), decode.PlaceObject(obj, r.Scope())); err != nil {
		return err
	}
	return g.setScale(w, r, o, func(schema.Object) (*autoscalingv1.Scale, error) { return obj.(*autoscalingv1.Scale), nil })
}

func (g *gateway) patchScale(w http.ResponseWriter, r *request.Request) error {
	media, body, o, err := readPatch(r)
	if err != nil {
		return err
	}
	if media == applyType {
		return g.applyScale(w, r, body, o)
	}
	return g.setScale(w, r, o, func(current schema.Object) (*autoscalingv1.Scale, error) {
		scale := r.Kind.RulesOf(r.Resource.Version).Scale().Of(current)
		data, err := schema.Encode(scale)
		if err != nil {
			return nil, err
		}
		patched, _, err := patchObject(r, schema.ScaleBody, identity{scale.Namespace, scale.Name}, data, body, o)
		if err != nil {
			return nil, err
		}
		return patched.(*autoscalingv1.Scale), nil
	})
}

// checkScale returns what is wrong with a Scale that is to be that of current.
func checkScale(r *request.Request, scale *autoscalingv1.Scale, current schema.Object) error {
	switch {
	case scale.ResourceVersion != "" && scale.ResourceVersion != current.GetResourceVersion():
		return apierrors.NewConflict(r.GR(), r.Name, errors.New(encode.Modified))
	case scale.UID != "" && scale.UID != current.GetUID():
		return apierrors.NewConflict(r.GR(), r.Name, fmt.Errorf("StorageError: invalid object, Code: 4, Key: %s, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: %v, UID in object meta: %v",
			registry.Key(r.Kind, r.Scope(), r.Name), scale.UID, current.GetUID()))
	case scale.Spec.Replicas < 0 && !isCustom(r): // custom kinds are validated themselves
		return apierrors.NewInvalid(kschema.GroupKind{Group: "autoscaling", Kind: "Scale"}, r.Name, field.ErrorList{
			field.Invalid(field.NewPath("spec", "replicas"), scale.Spec.Replicas, "must be greater than or equal to 0")})
	}
	return nil
}

// setScale writes the replicas of the Scale that wanted makes of the current object.
func (g *gateway) setScale(w http.ResponseWriter, r *request.Request, o request.WriteOptions, wanted func(schema.Object) (*autoscalingv1.Scale, error)) error {
	var texts []string
	opts := o.For(r)
	opts.Warn = encode.CollectWarnings(&texts)
	item, err := g.reg.Modify(r.Context(), r.Kind, r.Scope(), r.Name, func(current schema.Object) (schema.Object, error) {
		scale, err := wanted(current)
		if err != nil {
			return nil, err
		}
		if err := checkScale(r, scale, current); err != nil {
			return nil, err
		}
		return current, r.Kind.RulesOf(r.Resource.Version).Scale().Set(current, scale.Spec.Replicas)
	}, opts)
	encode.Warnings(w, texts)
	if err != nil {
		return err
	}
	return sendScale(w, r, item)
}
