package gateway

import (
	"errors"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/gateway/decode"
	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/registry"
	"gantry/registry/objectmeta"
)

// bind gives a pod its node: POST pods/<name>/binding and POST bindings.
func (g *gateway) bind(w http.ResponseWriter, r *request.Request) error {
	o, err := request.ReadWriteOptions(r.Query, "CreateOptions")
	if err != nil {
		return err
	}
	obj, err := decode.Version(w, r, bindingBody, o)
	if err != nil {
		return err
	}
	if err := decode.PlaceObject(obj, r.Namespace); err != nil {
		return err
	}
	if text := objectmeta.DropRepeatedOwners(obj, false); text != "" {
		encode.Warning(w, text)
	}
	b := obj.(*corev1.Binding)
	name := r.Name
	if name == "" {
		name = b.Name
	}
	var texts []string
	opts := o.For(r)
	opts.Warn = encode.CollectWarnings(&texts)
	_, err = g.reg.Bind(r.Context(), r.Namespace, name, b, opts)
	encode.Warnings(w, texts)
	if err != nil {
		return bindError(err)
	}
	return encode.Object(w, r, http.StatusCreated, success(http.StatusCreated))
}

// bindError is err as Kubernetes answers it: what is wrong with the target is an internal error without a reason.
func bindError(err error) error {
	var e *registry.Error
	if !errors.As(err, &e) || e.Kind != registry.Invalid || e.KindName != bindingBody.Kind {
		return err
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Message: e.Fields.ToAggregate().Error(),
	}}
}

// success is the Status of something done that has no object to show.
func success(code int32) *metav1.Status {
	return &metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess, Code: code}
}
