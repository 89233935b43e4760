package gateway

import (
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"gantry/schema"
)

// readObject reads the body as an object of the request's kind, in the request's namespace.
func readObject(w http.ResponseWriter, r *request, o writing) (schema.Object, error) {
	obj, err := readKind(w, r.Request, r.kind, o)
	if err != nil {
		return nil, err
	}
	if err := r.Context().Err(); err != nil { // decoding takes time, and so does what is next
		return nil, err
	}
	return obj, placeObject(obj, r.scope())
}

// placeObject puts an object without a namespace into the request's; any other must be in it.
func placeObject(obj schema.Object, namespace string) error {
	switch obj.GetNamespace() {
	case namespace:
	case "":
		obj.SetNamespace(namespace)
	default:
		return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	return nil
}

// readReview reads the body of a review.
func readReview(w http.ResponseWriter, r *request) (schema.Object, error) {
	o, err := writeOptions(r.query, "CreateOptions")
	if err != nil {
		return nil, err
	}
	obj, err := readKind(w, r.Request, r.kind, o)
	if err != nil {
		return nil, err
	}
	return obj, placeObject(obj, r.scope())
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
