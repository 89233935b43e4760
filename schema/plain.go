package schema

import (
	kjson "sigs.k8s.io/json"

	"gantry/schema/internal/wire"
)

// Nearly every object is plain: valid JSON, every field known and there once, each of its type. That is decoded by package
// wire, which reads the bytes once and needs a sixth of the time. Whatever it does not take is decoded again by
// sigs.k8s.io/json, which knows Kubernetes' leniencies and words its complaints: so nothing is refused, accepted or worded
// otherwise than Kubernetes does it. Tests hold that both make the same of what both take.

// plain decodes a plain object of kind k; false: it is none.
func plain(k *Kind, data []byte) (Object, bool) {
	obj := k.New()
	return obj, wire.Decode(data, obj)
}

// Unmarshal decodes JSON that is known to be an object of kind k. Unknown and duplicate fields are passed over.
//
// THE OBJECT'S STRINGS SHARE DATA'S MEMORY: data must never change afterwards, and lives as long as any of them.
func Unmarshal(k *Kind, data []byte) (Object, error) {
	if obj, ok := plain(k, data); ok {
		return obj, nil
	}
	obj := k.New()
	if faults := wire.Excessive(data, obj); len(faults) > 0 {
		return nil, &ValueError{faults}
	}
	return obj, kjson.UnmarshalCaseSensitivePreserveInts(data, obj)
}
