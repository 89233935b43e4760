package schema

import (
	"bytes"
	"encoding/json"
	"fmt"

	kjson "sigs.k8s.io/json"

	"gantry/schema/internal/wire"
)

// Decode reads one object of kind k from JSON. Field names are case sensitive and integers stay integers.
// Unknown and duplicate fields do not fail: they are returned as warnings, worded as Kubernetes words them
// (`unknown field "spec.foo"`). A kind or apiVersion in the body that is not k's is an error; an absent one
// is filled in. Anything else than one JSON object is an error.
//
// THE OBJECT'S STRINGS SHARE DATA'S MEMORY: data must never change afterwards, and lives as long as any of them.
func Decode(k *Kind, data []byte) (obj Object, warnings []string, err error) {
	if t := bytes.TrimLeft(data, " \t\r\n"); len(t) == 0 || t[0] != '{' {
		return nil, nil, fmt.Errorf("the body is not a JSON object")
	}
	obj, ok := plain(k, data)
	if !ok {
		if obj, warnings, err = decodeStrict(k, data); err != nil {
			return nil, nil, err
		}
	}
	got := obj.GetObjectKind().GroupVersionKind()
	if got.Kind == "" && got.Version == "" && got.Group == "" {
		k.Stamp(obj)
		got = k.GVK()
	}
	if got.Kind == "" || got.Version == "" {
		return nil, nil, fmt.Errorf("Object 'Kind' and 'apiVersion' must both be set or both be absent: want kind %q, apiVersion %q", k.Kind, k.APIVersion())
	}
	if got != k.GVK() {
		return nil, nil, fmt.Errorf("%s %s in the body is not a %s %s", got.GroupVersion(), got.Kind, k.APIVersion(), k.Kind)
	}
	return obj, warnings, nil
}

// decodeStrict decodes whatever Kubernetes takes, with its warnings.
func decodeStrict(k *Kind, data []byte) (obj Object, warnings []string, err error) {
	obj = k.New()
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

// storedUnknown is the warning about who wrote a value, which its form in etcd ends in: whoever pipes such a value back
// through the API need not take it off.
const storedUnknown = `unknown field "$by"`

// Encode writes obj as it is stored and served: compact JSON, kind and apiVersion first, no HTML escapes.
// Whoever stores it has cleared metadata.resourceVersion. The slice has no room to spare: it may be kept for long.
func Encode(obj Object) ([]byte, error) {
	if data, ok := wire.Encode(obj); ok {
		return data, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(obj); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
