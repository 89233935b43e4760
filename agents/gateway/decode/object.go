package decode

import (
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/registry"
	"gantry/registry/objectmeta"
	"gantry/schema"
)

// Object reads the body as an object of the request's version, in the request's namespace, and returns it in the version that the
// write path takes.
func Object(w http.ResponseWriter, r *request.Request, o request.WriteOptions) (schema.Object, error) {
	obj, err := Version(w, r, r.Resource.Version, o)
	if err != nil {
		return nil, err
	}
	if err := r.Context().Err(); err != nil { // decoding takes time, and so does what is next
		return nil, err
	}
	if err := PlaceObject(obj, r.Scope()); err != nil {
		return nil, err
	}
	return registry.ForWrite(r.Context(), r.Kind, r.Resource.Version, obj)
}

// PlaceObject puts an object without a namespace into the request's; any other must be in it. One without a namespace of the request has
// none.
func PlaceObject(obj schema.Object, namespace string) error {
	switch obj.GetNamespace() {
	case namespace:
	case "":
		obj.SetNamespace(namespace)
	default:
		if namespace == "" {
			obj.SetNamespace("")
			return nil
		}
		return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	return nil
}

// Review reads the body of a review, without the parts of its metadata that clients cannot set.
func Review(w http.ResponseWriter, r *request.Request) (schema.Object, error) {
	o, err := request.ReadWriteOptions(r.Query, "CreateOptions")
	if err != nil {
		return nil, err
	}
	obj, err := Version(w, r, r.Resource.Version, o)
	if err != nil {
		return nil, err
	}
	if text := objectmeta.DropRepeatedOwners(obj, false); text != "" {
		encode.Warning(w, text)
	}
	obj.SetCreationTimestamp(metav1.Time{})
	obj.SetUID("")
	obj.SetDeletionTimestamp(nil)
	obj.SetDeletionGracePeriodSeconds(nil)
	obj.SetSelfLink("")
	obj.SetManagedFields(nil)
	return obj, PlaceObject(obj, r.Scope())
}

// NoName is the error of an object that has no name.
func NoName(r *request.Request) error {
	return apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s based on URL) was undeterminable: name must be provided", r.Name))
}

// NameObject checks that an object has the name of the path. One without a name gets it where the path is an etcd key; null does not.
func NameObject(r *request.Request, obj schema.Object) error {
	switch {
	case obj.GetName() == r.Name:
	case obj.GetName() == "" && r.ByKey && !isNull(Body(r.Request)):
		obj.SetName(r.Name)
	case obj.GetName() == "":
		return NoName(r)
	default:
		return apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", obj.GetName(), r.Name))
	}
	return nil
}
