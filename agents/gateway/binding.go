package gateway

import (
	"net/http"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
)

// bind gives a pod its node: POST pods/<name>/binding and POST bindings.
func (g *gateway) bind(w http.ResponseWriter, r *request) error {
	o, err := writeOptions(r.query, "CreateOptions")
	if err != nil {
		return err
	}
	obj, err := readKind(w, r.Request, bindingKind, o)
	if err != nil {
		return err
	}
	if err := placeObject(obj, r.namespace); err != nil {
		return err
	}
	b := obj.(*corev1.Binding)
	name := r.name
	if name == "" {
		name = b.Name
	}
	if _, err := g.reg.Bind(r.Context(), r.namespace, name, b, registry.WriteOptions{DryRun: o.dryRun}); err != nil {
		return err
	}
	return sendObject(w, r, http.StatusCreated, success(http.StatusCreated))
}

// success is the Status of something done that has no object to show.
func success(code int32) *metav1.Status {
	return &metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess, Code: code}
}
