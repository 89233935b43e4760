package patch

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/util/mergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"gantry/schema"
)

func applyStrategic(k *schema.Kind, current, patch []byte) ([]byte, error) {
	into, from, err := decodeBoth(current, patch)
	if err != nil {
		return nil, err
	}
	if n := longest(from); n > maxElements {
		return nil, failure(ErrTooLarge, fmt.Errorf("a list of the patch has %d elements, limit is %d", n, maxElements))
	}
	// What the object is does not change, whatever the patch calls it: clients scale with {"kind":"Deployment",...}.
	delete(from, "kind")
	delete(from, "apiVersion")
	merged, err := strategicpatch.StrategicMergeMapPatch(into, from, k.New())
	if err != nil {
		return nil, failure(strategicKind(err), err)
	}
	return encode(merged)
}

func strategicKind(err error) error {
	for _, malformed := range []error{
		mergepatch.ErrBadJSONDoc,
		mergepatch.ErrBadPatchFormatForPrimitiveList,
		mergepatch.ErrBadPatchFormatForRetainKeys,
		mergepatch.ErrBadPatchFormatForSetElementOrderList,
		mergepatch.ErrUnsupportedStrategicMergePatchFormat,
	} {
		if errors.Is(err, malformed) {
			return ErrMalformed
		}
	}
	return ErrConflict
}

// longest is the length of the longest list in a document.
func longest(v any) int {
	n := 0
	switch v := v.(type) {
	case map[string]any:
		for _, below := range v {
			n = max(n, longest(below))
		}
	case []any:
		n = len(v)
		for _, below := range v {
			n = max(n, longest(below))
		}
	}
	return n
}
