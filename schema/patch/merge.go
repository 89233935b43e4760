package patch

import (
	"bytes"
	"encoding/json"
	"errors"

	"gantry/schema"
)

// applyMerge is RFC 7386 in one pass over both documents. json-patch's MergePatch parses a document anew on each of
// its levels, which takes minutes for a crafted patch.
func applyMerge(_ *schema.Version, current, patch []byte) ([]byte, error) {
	into, from, err := decodeBoth(current, patch, readVerbatim)
	if err != nil {
		return nil, err
	}
	return encode(merge(into, from))
}

// readVerbatim reads JSON whose numbers stay as they are written.
func readVerbatim(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d.Decode(into)
}

func merge(into, from map[string]any) map[string]any {
	if into == nil {
		into = map[string]any{}
	}
	for key, value := range from {
		switch v := value.(type) {
		case nil:
			delete(into, key)
		case map[string]any:
			below, _ := into[key].(map[string]any)
			into[key] = merge(below, v)
		default:
			into[key] = v
		}
	}
	return into
}

// decodeBoth reads the object and the patch.
func decodeBoth(current, patch []byte, read func(data []byte, into any) error) (into, from map[string]any, err error) {
	if err := read(patch, &from); err != nil {
		return nil, nil, failure(ErrMalformed, err)
	}
	if from == nil {
		return nil, nil, failure(ErrRefused, errors.New("Invalid JSON Patch")) //lint:ignore ST1005 the client sees this sentence as Kubernetes writes it
	}
	if err := read(current, &into); err != nil {
		return nil, nil, failure(ErrConflict, err)
	}
	return into, from, nil
}

func encode(doc map[string]any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(doc); err != nil {
		return nil, failure(ErrConflict, err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
