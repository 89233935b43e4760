package decode

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/schema"
)

// MaxBody bounds a request's body, as Kubernetes does; etcd takes half of it.
const MaxBody = 3 << 20 // bytes

// Body is the body that was received.
func Body(req *http.Request) []byte {
	if body, ok := req.Body.(interface{ Bytes() []byte }); ok {
		return body.Bytes()
	}
	return nil // there was none
}

// Content is a body with its media type; YAML has become JSON.
type Content struct {
	Data     []byte
	Protobuf bool
	// YAML is what Data was converted from; nil: it was JSON.
	YAML []byte
}

// ReadContent reads a body of a type that objects are written in. The types of CORS' simple requests (forms, plain text) are none
// of them.
func ReadContent(req *http.Request) (Content, error) {
	media, err := contentMedia(req)
	if err != nil {
		return Content{}, err
	}
	return contentOf(media, Body(req))
}

// ReadContentIfAny is ReadContent for a request that may have no body, whose type is then ignored.
func ReadContentIfAny(req *http.Request) (Content, error) {
	b := Body(req)
	if len(bytes.TrimSpace(b)) == 0 {
		return Content{}, nil
	}
	media, err := contentMedia(req)
	if err != nil {
		return Content{}, err
	}
	return contentOf(media, b)
}

// contentMedia is the media type of a body; none is JSON.
func contentMedia(req *http.Request) (string, error) {
	media, _, err := MediaType(req.Header.Get("Content-Type"))
	if err == nil {
		switch media {
		case "":
			return request.JSONType, nil
		case request.JSONType, request.YAMLType, request.ProtobufType:
			return media, nil
		}
	}
	return "", UnsupportedMedia(request.JSONType, request.YAMLType, request.ProtobufType)
}

func contentOf(media string, body []byte) (Content, error) {
	if media == request.YAMLType && len(body) > 0 {
		data, err := yamlToJSON(body)
		return Content{Data: data, YAML: body}, err
	}
	return Content{Data: body, Protobuf: media == request.ProtobufType}, nil
}

// Version reads the body as an object of version v.
func Version(w http.ResponseWriter, r *request.Request, v *schema.Version, o request.WriteOptions) (schema.Object, error) {
	c, err := ReadContent(r.Request)
	var bad *yamlError
	switch {
	case errors.As(err, &bad):
		return nil, unrecognized(v, bad.cause, c.YAML)
	case err != nil:
		return nil, err
	case c.Protobuf:
		return DecodeProtobuf(v, c.Data)
	case c.YAML == nil || o.Ignore:
		return Decode(w, r, v, c.Data, o)
	}
	return decode(w, r, v, c.Data, repeatedKeys(c.YAML), o)
}

// unrecognized is the error of a body that does not say of which type it is.
func unrecognized(v *schema.Version, err error, body []byte) error {
	return apierrors.NewBadRequest(fmt.Sprintf("the object provided is unrecognized (must be of type %s): %v (%s)", v.Kind, err, Summary(body)))
}

// MediaType reads a Content-Type; "" is "".
func MediaType(header string) (media string, params map[string]string, err error) {
	if header == "" {
		return "", nil, nil
	}
	return mime.ParseMediaType(header)
}

// Decode reads an object of version v from JSON; unknown and duplicate fields become warnings or, strict, an error.
func Decode(w http.ResponseWriter, r *request.Request, v *schema.Version, body []byte, o request.WriteOptions) (schema.Object, error) {
	return decode(w, r, v, body, nil, o)
}

// decode is Decode of a body that was YAML; repeated is the error about keys that it has twice, or nil.
func decode(w http.ResponseWriter, r *request.Request, v *schema.Version, body []byte, repeated error, o request.WriteOptions) (schema.Object, error) {
	if err := schema.CheckSize(body); err != nil {
		return nil, apierrors.NewRequestEntityTooLargeError(err.Error())
	}
	if isNull(body) && !v.IsUnstructured() {
		body = []byte("{}")
	}
	obj, unknown, err := schema.Decode(v, body)
	if err == nil {
		err = CheckType(v, obj, body)
	}
	if err != nil {
		return nil, unreadable(r.Kinds, v, body, err)
	}
	if o.Ignore || len(unknown) == 0 && repeated == nil {
		return obj, nil
	}
	if repeated != nil && o.Strict {
		unknown = append([]string{repeated.Error()}, unknown...)
	} else if repeated != nil {
		unknown = append(yamlWarnings(repeated), unknown...)
	}
	if o.Strict {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: %s", v.Kind, v.Version, v.Kind, StrictText(unknown)))
	}
	for _, u := range unknown {
		encode.Warning(w, u)
	}
	return obj, nil
}

func isNull(body []byte) bool { return string(bytes.TrimSpace(body)) == "null" }

// unreadable is the error of a body that is no v.
func unreadable(kinds *schema.Set, v *schema.Version, body []byte, err error) error {
	got, err := Fault(kinds, v, body, err)
	if got.Kind == "" {
		return unrecognized(v, err, body)
	}
	var wrong *schema.WrongTypeError
	if v.IsUnstructured() && errors.As(err, &wrong) {
		if got.GroupVersion() != v.GV() {
			return apierrors.NewBadRequest(fmt.Sprintf("the API version in the data (%s) does not match the expected API version (%s)", got.GroupVersion(), v.APIVersion()))
		}
		return OtherType(v, got, nameIn(body))
	}
	var values *schema.ValueError
	if errors.As(err, &values) {
		return apierrors.NewInvalid(v.GVK().GroupKind(), nameIn(body), values.Errs)
	}
	return apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: %v", got.Kind, got.Version, v.Kind, err))
}

// nameIn is the name of the object in a body; one of another type is none.
func nameIn(body []byte) string {
	var named struct{ Metadata struct{ Name string } }
	_ = json.Unmarshal(body, &named)
	return named.Metadata.Name
}

// OtherType is the error of an object of another type in the place of one of the custom kind v, which Kubernetes validates as that.
func OtherType(v *schema.Version, got kschema.GroupVersionKind, name string) error {
	var errs field.ErrorList
	if got.Kind != v.Kind {
		errs = append(errs, field.Invalid(field.NewPath("kind"), got.Kind, "must be "+v.Kind))
	}
	if got.GroupVersion() != v.GV() {
		errs = append(errs, field.Invalid(field.NewPath("apiVersion"), got.GroupVersion().String(), "must be "+v.APIVersion()))
	}
	return apierrors.NewInvalid(got.GroupKind(), name, errs)
}

// CheckType refuses a body, which was read as obj, of a custom kind that does not say of which type it is: only for built-in kinds, Kubernetes
// fills that in.
func CheckType(v *schema.Version, obj schema.Object, body []byte) error {
	if _, custom := obj.(*unstructured.Unstructured); !custom {
		return nil
	}
	apiVersion, kind, err := typeOf(body)
	if err == nil && (apiVersion == "" || kind == "") {
		gv, _ := kschema.ParseGroupVersion(apiVersion) // it was parsed before
		err = &schema.WrongTypeError{Got: gv.WithKind(kind), Want: v.GVK()}
	}
	return err
}

// Fault is why a body, which schema.Decode refuses with err, is no object of version v, as Kubernetes words it, and of which type it is: without
// a kind where it does not say that. A body of another type is read as that first.
func Fault(kinds *schema.Set, v *schema.Version, body []byte, err error) (kschema.GroupVersionKind, error) {
	apiVersion, kind, bad := typeOf(body)
	if bad != nil {
		return kschema.GroupVersionKind{}, fmt.Errorf("couldn't get version/kind; json parse error: %w", bad)
	}
	if v.IsUnstructured() {
		gv, bad := kschema.ParseGroupVersion(apiVersion)
		switch {
		case kind == "":
			return kschema.GroupVersionKind{}, runtime.NewMissingKindErr(string(body))
		case bad != nil:
			return kschema.GroupVersionKind{}, bad
		}
		return gv.WithKind(kind), err
	}
	got, bad := v.CompleteType(apiVersion, kind)
	switch {
	case bad != nil:
		return kschema.GroupVersionKind{}, bad
	case got == v.GVK():
		return got, err
	}
	other := kinds.Version(got)
	if other == nil || other.IsUnstructured() {
		return got, &schema.WrongTypeError{Got: got, Want: v.GVK()}
	}
	if _, _, err := schema.Decode(other, body); err != nil {
		return got, err
	}
	return got, fmt.Errorf("converting (%s) to (%s.%s): unknown conversion", other.Type().Elem(), internalPackage(v.Group), v.Kind)
}

// typeOf is what a body says of its type.
func typeOf(body []byte) (apiVersion, kind string, err error) {
	var head struct {
		APIVersion string `json:"apiVersion,omitempty"`
		Kind       string `json:"kind,omitempty"`
	}
	err = json.Unmarshal(body, &head)
	return head.APIVersion, head.Kind, err
}

// Unversioned tells whether a body has no apiVersion.
func Unversioned(body []byte) bool {
	apiVersion, _, err := typeOf(body)
	return err == nil && apiVersion == ""
}

// internalPackage is the name of the Go package in which Kubernetes has a group's internal types.
func internalPackage(group string) string {
	if group == "" || group == "events.k8s.io" {
		return "core"
	}
	name, _, _ := strings.Cut(group, ".")
	return name
}

// Summary is the start of a body, in hexadecimal unless it looks like JSON, as Kubernetes shows what it could not read.
func Summary(body []byte) string {
	const most = 30
	switch {
	case len(body) == 0:
		return "<empty>"
	case body[0] == '{' && len(body) > most:
		return string(body[:most]) + " ..."
	case body[0] == '{':
		return string(body)
	case len(body) > most:
		return fmt.Sprintf("%02x ...", body[:most])
	}
	return fmt.Sprintf("%02x", body)
}

// StrictText is the error of unknown and duplicate fields.
func StrictText(unknown []string) string {
	return "strict decoding error: " + strings.Join(unknown, ", ")
}

// CheckMedia refuses a body of a type that is not understood.
func CheckMedia(req *http.Request) error {
	_, err := contentMedia(req)
	return err
}

// UnsupportedPatch is the answer to a patch of a type that objects of version v do not take. Kubernetes' router answers for built-in
// kinds, and names no types.
func UnsupportedPatch(v *schema.Version, accepted ...string) error {
	if v.IsUnstructured() {
		return UnsupportedMedia(accepted...)
	}
	return apierrors.NewGenericServerResponse(http.StatusUnsupportedMediaType, "", kschema.GroupResource{}, "", "415: Unsupported Media Type", 0, false)
}

// UnsupportedMedia is the answer to a body of a type that is not understood.
func UnsupportedMedia(accepted ...string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusUnsupportedMediaType, Reason: metav1.StatusReasonUnsupportedMediaType,
		Message: "the body of the request was in an unknown format - accepted media types include: " + strings.Join(accepted, ", "),
	}}
}
