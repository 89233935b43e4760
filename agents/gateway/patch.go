package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/agents/gateway/decode"
	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/patch"
)

// patch changes an object, or its status, by a JSON, merge or strategic merge patch, or applies a configuration.
func (g *gateway) patch(w http.ResponseWriter, r *request.Request) error {
	media, body, o, err := readPatch(r)
	if err != nil {
		return err
	}
	if media == applyType {
		return g.apply(w, r, body, o)
	}
	match, err := request.IfMatch(r.Request)
	if err != nil {
		return err
	}
	var twice, unknown, texts []string
	if !o.Ignore {
		twice = patch.Duplicates(body)
		if media == patch.JSON {
			twice = append(twice, patch.UnknownMembers(body)...)
		}
	}
	if o.Strict && len(twice) > 0 {
		return badPatch(body, decode.StrictText(twice))
	}
	opts := o.For(r)
	opts.ResourceVersion, opts.Decoded, opts.Warn = match, true, encode.CollectWarnings(&texts)
	item, err := g.reg.Patch(r.Context(), r.Kind, r.Scope(), r.Name, func(current *registry.Item) (schema.Object, error) {
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		data, err := current.As(r.Context(), r.Resource.Version)
		if err != nil {
			return nil, err
		}
		patched, notes, err := patchObject(r, r.Resource.Version, identity{current.Namespace, current.Name}, data, body, o)
		if err != nil {
			return nil, err
		}
		unknown = notes
		if patched, err = registry.ForWrite(r.Context(), r.Kind, r.Resource.Version, patched); err != nil {
			return nil, err
		}
		if !g.checksOld(r) {
			return patched, nil
		}
		return patched, g.checkWrite(r, patched, current.Object())
	}, opts)
	if !o.Ignore {
		encode.Warnings(w, append(twice, unknown...))
	}
	encode.Warnings(w, texts)
	if err != nil {
		return err
	}
	return encode.Item(w, r, http.StatusOK, item)
}

// readPatch reads the type, the body and the options of a patch. Its type is checked first: an option may belong to a type that is not
// supported.
func readPatch(r *request.Request) (media string, body []byte, o request.WriteOptions, err error) {
	media, _, err = decode.MediaType(r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(patchTypes, media) || media == patch.Strategic && isCustom(r) {
		return "", nil, o, unsupportedPatch(r.Resource.Version)
	}
	if o, err = request.ReadPatchOptions(r.Query, types.PatchType(media)); err != nil {
		return "", nil, o, err
	}
	return media, decode.Body(r.Request), o, nil
}

// patchTypes are the types of patch, in the order in which Kubernetes names them.
var patchTypes = []string{patch.JSON, patch.Merge, patch.Strategic, applyType}

// unsupportedPatch is the answer to a patch of a type that objects of version v do not take.
func unsupportedPatch(v *schema.Version) error {
	accepted := patchTypes
	if v.IsUnstructured() {
		accepted = slices.DeleteFunc(slices.Clone(patchTypes), func(media string) bool { return media == patch.Strategic })
	}
	return decode.UnsupportedPatch(v, accepted...)
}

// identity is what a patch may not change.
type identity struct{ namespace, name string }

// patchObject applies a patch to the object of version v whose JSON data is; notes are unknown fields that it set.
func patchObject(r *request.Request, v *schema.Version, current identity, data, body []byte, o request.WriteOptions) (obj schema.Object, notes []string, err error) {
	patched, err := patch.Apply(v, r.Header.Get("Content-Type"), data, body)
	if err != nil {
		return nil, nil, patchError(v, err)
	}
	var wrong *schema.WrongTypeError
	switch obj, notes, err = decodePatched(r, v, patched); {
	case errors.As(err, &wrong) && v.IsUnstructured():
		return nil, nil, decode.OtherType(v, wrong.Got, current.name)
	case err != nil:
		return nil, nil, badPatch(body, err.Error())
	}
	if o.Strict && len(notes) > 0 {
		return nil, nil, badPatch(body, decode.StrictText(notes))
	}
	switch {
	case obj.GetName() == "", bytes.Contains(body, []byte("apiVersion")) && !v.IsUnstructured() && decode.Unversioned(patched):
		// Kubernetes reads an object without apiVersion as one of its internal types, whose JSON has other names.
		return nil, nil, decode.NoName(r)
	case obj.GetName() != current.name:
		return nil, nil, apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", obj.GetName(), r.Name))
	}
	return obj, notes, decode.PlaceObject(obj, current.namespace)
}

// decodePatched reads what a patch made.
func decodePatched(r *request.Request, v *schema.Version, patched []byte) (obj schema.Object, notes []string, err error) {
	if media, _, _ := decode.MediaType(r.Header.Get("Content-Type")); media == patch.Strategic {
		return schema.DecodeMerged(v, patched)
	}
	if obj, notes, err = schema.Decode(v, patched); err == nil {
		err = decode.CheckType(v, obj, patched)
	}
	if err != nil {
		_, err = decode.Fault(r.Kinds, v, patched, err)
	}
	return obj, notes, err
}

// patchError words what package patch found.
func patchError(v *schema.Version, err error) error {
	switch {
	case errors.Is(err, patch.ErrUnsupported):
		return unsupportedPatch(v)
	case errors.Is(err, patch.ErrRefused):
		return apierrors.NewBadRequest(err.Error())
	case errors.Is(err, patch.ErrUnknown):
		return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Message: err.Error()}}
	case errors.Is(err, patch.ErrMalformed):
		return apierrors.NewBadRequest(fmt.Sprintf("error decoding patch: %v", err))
	case errors.Is(err, patch.ErrTooLarge):
		return apierrors.NewRequestEntityTooLargeError(err.Error())
	case errors.Is(err, patch.ErrConflict):
		return apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", kschema.GroupResource{}, "", err.Error(), 0, false)
	}
	return err
}

// badPatch is the answer to a patch that leaves no object of its kind.
func badPatch(body []byte, text string) error {
	const most = 1024
	shown := string(body)
	if len(shown) > most {
		shown = shown[:most] + "..."
	}
	return apierrors.NewInvalid(kschema.GroupKind{}, "", field.ErrorList{field.Invalid(field.NewPath("patch"), shown, text)})
}
