package gateway

import (
	"errors"
	"fmt"
	"net/http"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/registry"
	"gantry/schema"
)

// scaleOf is an object as its Scale.
func scaleOf(k *schema.Kind, obj schema.Object) *autoscalingv1.Scale {
	spec, status, selector := k.Scale.Get(obj)
	return &autoscalingv1.Scale{
		TypeMeta: metav1.TypeMeta{Kind: "Scale", APIVersion: "autoscaling/v1"},
		ObjectMeta: metav1.ObjectMeta{
			Name: obj.GetName(), Namespace: obj.GetNamespace(), UID: obj.GetUID(),
			ResourceVersion: obj.GetResourceVersion(), CreationTimestamp: obj.GetCreationTimestamp(),
		},
		Spec:   autoscalingv1.ScaleSpec{Replicas: spec},
		Status: autoscalingv1.ScaleStatus{Replicas: status, Selector: selector},
	}
}

func (g *gateway) getScale(w http.ResponseWriter, r *request) error {
	item, err := g.reg.Get(r.Context(), r.kind, r.scope(), r.name, r.query.Get("resourceVersion"))
	if err != nil {
		return err
	}
	return sendObject(w, r, http.StatusOK, scaleOf(r.kind, item.Object()))
}

func (g *gateway) updateScale(w http.ResponseWriter, r *request) error {
	o, err := writeOptions(r.query, "UpdateOptions")
	if err != nil {
		return err
	}
	obj, err := readKind(w, r.Request, scaleKind, o)
	if err != nil {
		return err
	}
	if err := errors.Join(nameObject(r, obj), placeObject(obj, r.scope())); err != nil {
		return err
	}
	return g.setScale(w, r, o, func(schema.Object) (*autoscalingv1.Scale, error) { return obj.(*autoscalingv1.Scale), nil })
}

func (g *gateway) patchScale(w http.ResponseWriter, r *request) error {
	body, o, err := readPatch(r)
	if err != nil {
		return err
	}
	on := *r
	on.kind = scaleKind
	return g.setScale(w, r, o, func(current schema.Object) (*autoscalingv1.Scale, error) {
		scale := scaleOf(r.kind, current)
		data, err := schema.Encode(scale)
		if err != nil {
			return nil, err
		}
		patched, _, err := patchObject(&on, identity{scale.Namespace, scale.Name, scale.ResourceVersion}, data, body, o)
		if err != nil {
			return nil, err
		}
		return patched.(*autoscalingv1.Scale), nil
	})
}

// setScale writes the replicas of the Scale that wanted makes of the current object.
func (g *gateway) setScale(w http.ResponseWriter, r *request, o writing, wanted func(schema.Object) (*autoscalingv1.Scale, error)) error {
	item, err := g.reg.Modify(r.Context(), r.kind, r.scope(), r.name, func(current schema.Object) (schema.Object, error) {
		scale, err := wanted(current)
		if err != nil {
			return nil, err
		}
		switch {
		case scale.ResourceVersion != "" && scale.ResourceVersion != current.GetResourceVersion():
			return nil, apierrors.NewConflict(r.gr(), r.name, errors.New(modified))
		case scale.UID != "" && scale.UID != current.GetUID():
			//lint:ignore ST1005 the client sees this sentence as Kubernetes writes it
			return nil, apierrors.NewConflict(r.gr(), r.name, fmt.Errorf("Precondition failed: UID in precondition: %v, UID in object meta: %v", scale.UID, current.GetUID()))
		case scale.Spec.Replicas < 0:
			return nil, apierrors.NewInvalid(kschema.GroupKind{Group: "autoscaling", Kind: "Scale"}, r.name, field.ErrorList{
				field.Invalid(field.NewPath("spec", "replicas"), scale.Spec.Replicas, "must be greater than or equal to 0")})
		}
		r.kind.Scale.Set(current, scale.Spec.Replicas)
		return current, nil
	}, registry.WriteOptions{DryRun: o.dryRun})
	if err != nil {
		return err
	}
	return sendObject(w, r, http.StatusOK, scaleOf(r.kind, item.Object()))
}
