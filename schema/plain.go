package schema

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kjson "sigs.k8s.io/json"

	"gantry/schema/internal/wire"
)

// Nearly every object is plain: valid JSON, every field known and there once, each of its type. That is decoded by package
// wire, which reads the bytes once and needs a sixth of the time. Whatever it does not take is decoded again by
// sigs.k8s.io/json, which knows Kubernetes' leniencies and words its complaints: so nothing is refused, accepted or worded
// otherwise than Kubernetes does it. Tests hold that both make the same of what both take.

// plain decodes a plain object of version v; false: it is none, or has no Go type.
func plain(v *Version, data []byte) (Object, bool) {
	obj := v.New()
	if _, ok := obj.(*unstructured.Unstructured); ok {
		return obj, false
	}
	return obj, wire.Decode(data, obj)
}

// Unmarshal decodes JSON that is known to be an object of version v. Unknown and duplicate fields are passed over.
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
	if errs := wire.Excessive(data, obj); len(errs) > 0 {
		return nil, &ValueError{errs}
	}
	return obj, kjson.UnmarshalCaseSensitivePreserveInts(data, obj)
}
