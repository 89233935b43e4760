package schema

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kjson "sigs.k8s.io/json"

	"gantry/schema/internal/wire"
)

// Nearly every object is plain: valid JSON, every field known and there once, each of its type. That is decoded by package
// wire, which reads the bytes once and needs a sixth of the time. Everything else is decoded by sigs.k8s.io/json,
// as Kubernetes does it, with its leniencies and error texts. Tests check that both give the same result for plain objects.

// plain decodes a plain object of version v; false: it is not plain, or has no Go type.
func plain(v *Version, data []byte) (Object, bool) {
	obj := v.New()
	if _, ok := obj.(*unstructured.Unstructured); ok {
		return obj, false
	}
	return obj, wire.Decode(data, obj)
}

// Unmarshal decodes JSON that is known to be an object of version v. Unknown and duplicate fields are ignored.
//
// THE OBJECT'S STRINGS SHARE DATA'S MEMORY: data must never change afterwards, and lives as long as any of them.
func Unmarshal(v *Version, data []byte) (Object, error) {
	if obj, ok := plain(v, data); ok {
		return obj, nil
	}
	obj := v.New()
	if u, ok := obj.(*unstructured.Unstructured); ok {
		_, err := decodeUnstructured(v, data, u)
		return u, err
	}
	if errs := wire.TooLarge(data, obj); len(errs) > 0 {
		return nil, &ValueError{errs}
	}
	return obj, kjson.UnmarshalCaseSensitivePreserveInts(data, obj)
}
