package decode

import (
	"bytes"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/agents/gateway/encode"
	"gantry/schema"
)

// ProtobufMark stands before every object in this form; a runtime.Unknown follows.
var ProtobufMark = []byte(encode.ProtobufMark)

// unmarshaler is what k8s.io/api's types have.
type unmarshaler interface{ Unmarshal(data []byte) error }

// DecodeProtobuf reads an object of version v.
func DecodeProtobuf(v *schema.Version, body []byte) (schema.Object, error) {
	obj := v.New()
	head, err := UnwrapProtobuf(body, obj)
	var values *schema.ValueError
	switch {
	case errors.As(err, &values):
		return nil, apierrors.NewInvalid(v.GVK().GroupKind(), "", values.Errs)
	case apierrors.IsRequestEntityTooLargeError(err):
		return nil, err
	case err != nil:
		return nil, apierrors.NewBadRequest(fmt.Sprintf("the object provided is unrecognized (must be of type %s): %v (%s)", v.Kind, err, Summary(body)))
	}
	switch {
	case head.APIVersion != "" && head.APIVersion != v.APIVersion():
		return nil, apierrors.NewBadRequest(fmt.Sprintf("the API version in the data (%s) does not match the expected API version (%s)", head.APIVersion, v.APIVersion()))
	case head.Kind != "" && head.Kind != v.Kind:
		return nil, apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s", head.Kind, v.Version, v.Kind))
	}
	v.SetTypeMeta(obj)
	return obj, nil
}

// UnwrapProtobuf reads into from body and returns the kind that the body names.
func UnwrapProtobuf(body []byte, into any) (runtime.TypeMeta, error) {
	rest, ok := bytes.CutPrefix(body, ProtobufMark)
	if !ok {
		return runtime.TypeMeta{}, errors.New("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
	}
	var u runtime.Unknown
	if err := u.Unmarshal(rest); err != nil {
		return runtime.TypeMeta{}, err
	}
	if err := checkMessages(u.Raw, into); err != nil {
		return u.TypeMeta, apierrors.NewRequestEntityTooLargeError(err.Error())
	}
	p, ok := into.(unmarshaler)
	if !ok {
		return u.TypeMeta, errors.New("this kind has no protobuf form")
	}
	if obj, ok := into.(schema.Object); ok {
		if err := schema.CheckProtobuf(obj, u.Raw); err != nil {
			return u.TypeMeta, err
		}
	}
	return u.TypeMeta, p.Unmarshal(u.Raw)
}
