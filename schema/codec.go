package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"gantry/schema/internal/wire"
)

// Decode reads one object of version v from JSON. Field names are case sensitive and integers stay integers.
// Unknown and duplicate fields do not fail: they are returned as warnings, worded as Kubernetes words them
// (`unknown field "spec.foo"`). A kind or apiVersion in the body that is not v's is an error; an absent one
// is filled in. Anything else than one JSON object is an error.
//
// THE OBJECT'S STRINGS SHARE DATA'S MEMORY: data must never change afterwards, and lives as long as any of them.
func Decode(v *Version, data []byte) (obj Object, warnings []string, err error) {
	if t := bytes.TrimLeft(data, " \t\r\n"); len(t) == 0 || t[0] != '{' {
		return nil, nil, fmt.Errorf("the body is not a JSON object")
	}
	obj, ok := plain(v, data)
	if !ok {
		if obj, warnings, err = decodeStrict(v, obj, data); err != nil {
			return nil, nil, err
		}
	}
	apiVersion, kind := typeOf(obj)
	got, err := v.CompleteType(apiVersion, kind)
	switch {
	case err != nil:
		return nil, nil, err
	case got != v.GVK():
		return nil, nil, &WrongTypeError{Got: got, Want: v.GVK()}
	}
	if obj.GetObjectKind().GroupVersionKind() != got {
		v.SetTypeMeta(obj)
	}
	return obj, warnings, nil
}

// typeOf is what obj says of its type.
func typeOf(obj Object) (apiVersion, kind string) {
	switch t := obj.GetObjectKind().(type) {
	case *metav1.TypeMeta:
		return t.APIVersion, t.Kind
	case *unstructured.Unstructured:
		return t.GetAPIVersion(), t.GetKind()
	}
	return obj.GetObjectKind().GroupVersionKind().ToAPIVersionAndKind()
}

// CompleteType is the type that a body of version v names. What it leaves out is v's. An apiVersion with two slashes is an error.
func (v *Version) CompleteType(apiVersion, kind string) (kschema.GroupVersionKind, error) {
	gv, err := kschema.ParseGroupVersion(apiVersion)
	if err != nil {
		return kschema.GroupVersionKind{}, err
	}
	if kind == "" {
		kind = v.Kind
	}
	if gv.Version == "" && (gv.Group == "" || gv.Group == v.Group) {
		gv = v.GV()
	}
	return gv.WithKind(kind), nil
}

// DecodeMerged is Decode of what was merged member by member, by a strategic merge patch or an apply. Kubernetes reads that by another decoder:
// an integer that is too large for its field keeps its low bits.
func DecodeMerged(v *Version, data []byte) (obj Object, warnings []string, err error) {
	if obj, warnings, err = Decode(v, data); err == nil || v.IsUnstructured() {
		return obj, warnings, err
	}
	var values *ValueError
	if errors.As(err, &values) {
		return nil, nil, err
	}
	var doc map[string]any
	if kjson.UnmarshalCaseSensitivePreserveInts(data, &doc) != nil {
		return nil, nil, err
	}
	obj = v.New()
	err = runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(doc, obj, true)
	if strict, ok := runtime.AsStrictDecodingError(err); ok {
		for _, e := range strict.Errors() {
			warnings = append(warnings, e.Error())
		}
		err = nil
	}
	if err != nil {
		return nil, nil, err
	}
	v.SetTypeMeta(obj)
	return obj, warnings, nil
}

// decodeStrict decodes everything that Kubernetes accepts, with its warnings. used is an object of v with any content.
func decodeStrict(v *Version, used Object, data []byte) (obj Object, warnings []string, err error) {
	obj = v.New()
	if u, ok := obj.(*unstructured.Unstructured); ok {
		warnings, err = decodeUnstructured(v, data, u)
		return u, warnings, err
	}
	if errs := wire.TooLarge(data, used); len(errs) > 0 {
		return nil, nil, &ValueError{errs}
	}
	strict, err := kjson.UnmarshalStrict(data, obj)
	if err != nil {
		return nil, nil, err
	}
	for _, w := range strict {
		if w.Error() != storedUnknown {
			warnings = append(warnings, w.Error())
		}
	}
	return obj, warnings, nil
}

// storedUnknown is the warning about the record of its writer, in which a value in etcd ends. It is left out: values of etcd can be sent
// to the API as they are.
const (
	storedWriter  = "$by"
	storedUnknown = `unknown field "` + storedWriter + `"`
)

// ValueError is the error of an object with values that may not be stored: times that no reader could read again, amounts and
// numbers out of their range, JSON that nests too deep.
type ValueError struct{ Errs field.ErrorList }

func (e *ValueError) Error() string { return e.Errs.ToAggregate().Error() }

// Encode writes obj as it is stored and served: compact JSON, kind and apiVersion first, no HTML escapes.
// The caller that stores it has cleared metadata.resourceVersion. The slice has no spare capacity: it may be kept for long.
// What could not be read again is a *ValueError.
func Encode(obj Object) ([]byte, error) {
	data, _, err := encode(obj)
	return data, err
}

// maxLosses is how often an object may change by being written and read: first a fraction of a second is lost, then the pointer to a time
// that is zero without it.
const maxLosses = 4

// EncodeStored is Encode for what will be read again. It returns also what readers get: obj itself or, where JSON does not hold all
// of it (a fraction of a second, text that is not UTF-8, white space within raw JSON), another object. Slices and maps that are
// empty may be nil in one and not in the other.
func EncodeStored(v *Version, obj Object) (Object, []byte, error) {
	data, exact, err := encode(obj)
	for range maxLosses {
		if err != nil || exact {
			return obj, data, err
		}
		if obj, err = Unmarshal(v, data); err != nil {
			return nil, nil, err
		}
		last := data
		data, exact, err = encode(obj)
		exact = exact || bytes.Equal(data, last)
	}
	return nil, nil, fmt.Errorf("what is written and read is another object each time")
}

// encode is Encode; exact tells that decoding the result gives obj.
func encode(obj Object) (data []byte, exact bool, err error) {
	if u, ok := obj.(*unstructured.Unstructured); ok {
		return encodeUnstructured(u)
	}
	data, exact, ok := wire.Encode(obj)
	if ok {
		return data, exact, nil
	}
	if errs := wire.Unreadable(obj); len(errs) > 0 {
		return nil, false, &ValueError{errs}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(obj); err != nil {
		return nil, false, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), false, nil
}

// CheckProtobuf returns a *ValueError where data, the protobuf form of an object of obj's type, has values whose decoding would cost
// without bound. It is called before data is decoded.
func CheckProtobuf(obj Object, data []byte) error {
	if errs := wire.TooLargeProtobuf(data, obj); len(errs) > 0 {
		return &ValueError{errs}
	}
	return nil
}

// DecodeYAML decodes YAML or JSON that is no object of the API, such as a configuration file. Fields that to lacks and fields that are set twice are
// errors.
func DecodeYAML(text []byte, to any) error {
	raw, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return err
	}
	strict, err := kjson.UnmarshalStrict(raw, to)
	if err != nil {
		return err
	}
	return errors.Join(strict...)
}
