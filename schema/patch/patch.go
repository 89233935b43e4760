// Package patch applies the patch types of Kubernetes to the JSON of an object: JSON patch (RFC 6902), JSON
// merge patch (RFC 7386) and strategic merge patch. It neither defaults nor validates: the caller decodes the
// result as it would decode a PUT.
//
// A patch is hostile input. Its bytes, depth (schema.MaxDepth), number of operations and of objects are bounded, and so are the copies
// that it makes and the document that it leaves. Within those bounds the work is in proportion to the size of the patch and
// the object together.
package patch

import (
	"encoding/json"
	"fmt"
	"mime"

	"gantry/schema"
)

// The content types that Apply accepts.
const (
	JSON      = "application/json-patch+json"
	Merge     = "application/merge-patch+json"
	Strategic = "application/strategic-merge-patch+json"
)

// The bounds of a patch and of what it makes.
const (
	maxBytes      = 3 << 20 // of the patch, of JSON patch's copies together, and of the result
	maxOperations = 10_000  // of a JSON patch
)

// Apply returns current, the JSON of an object of version v as it is served, with patch applied. Neither is changed. Every error
// is an *Error: errors.Is tells ErrUnsupported, ErrMalformed, ErrRefused, ErrUnknown, ErrConflict and ErrTooLarge apart.
func Apply(v *schema.Version, contentType string, current, patch []byte) (patched []byte, err error) {
	apply, err := applier(contentType)
	if err != nil {
		return nil, err
	}
	if len(patch) > maxBytes {
		return nil, failure(ErrTooLarge, fmt.Errorf("limit is %d", maxBytes))
	}
	if err := shallow(patch); err != nil {
		return nil, failure(ErrMalformed, err)
	}
	if err := schema.CheckSize(patch); err != nil {
		return nil, failure(ErrTooLarge, err)
	}
	if err := schema.CheckDepth(current); err != nil {
		return nil, failure(ErrConflict, err)
	}
	defer func() {
		// A panic must fail this request only.
		if p := recover(); p != nil {
			patched, err = nil, failure(ErrMalformed, fmt.Errorf("applying the patch: %v", p))
		}
	}()
	patched, err = applyParts(apply, v, current, patch)
	switch {
	case err != nil:
		return nil, err
	case len(patched) > maxBytes:
		return nil, failure(ErrTooLarge, fmt.Errorf("the patched object has %d bytes, limit is %d", len(patched), maxBytes))
	}
	if err := schema.CheckSize(patched); err != nil {
		return nil, failure(ErrTooLarge, err)
	}
	return patched, nil
}

// applyParts applies a merge patch, of either type, only to those members of current that it names, most often metadata or status: the
// others need not be decoded and encoded again.
func applyParts(apply func(v *schema.Version, current, patch []byte) ([]byte, error), v *schema.Version, current, patch []byte) ([]byte, error) {
	named, others, ok := namedMembers(current, patch)
	if !ok {
		return apply(v, current, patch)
	}
	patched, err := apply(v, named, patch)
	if err != nil || len(patched) < 2 {
		return patched, err
	}
	return joinMembers(patched, others), nil
}

func applier(contentType string) (func(v *schema.Version, current, patch []byte) ([]byte, error), error) {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		mediaType = ""
	}
	switch mediaType {
	case JSON:
		return applyJSON, nil
	case Merge:
		return applyMerge, nil
	case Strategic:
		return applyStrategic, nil
	}
	return nil, failure(ErrUnsupported, fmt.Errorf(
		"the body of the request was in an unknown format - accepted media types include: %s, %s, %s", JSON, Merge, Strategic))
}

// shallow tells whether data is JSON that is not nested too deeply.
func shallow(data []byte) error {
	if err := schema.CheckDepth(data); err != nil {
		return err
	}
	if !json.Valid(data) {
		return json.Unmarshal(data, new(json.RawMessage)) // which says why
	}
	return nil
}
