package encode

import (
	"bytes"
	"encoding/json"
	"fmt"

	"gantry/registry"
)

// appendPartial appends an object's PartialObjectMetadata to b: its metadata's bytes as they are.
func appendPartial(b, object []byte, version string) ([]byte, error) {
	meta, err := metadataOf(object)
	if err != nil {
		return nil, err
	}
	b = append(b, `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/`...)
	b = append(b, version...)
	b = append(b, `","metadata":`...)
	b = append(b, meta...)
	return append(b, '}'), nil
}

// partialList is a PartialObjectMetadataList.
func partialList(l registry.List, version string) ([]byte, error) {
	b := listHead("PartialObjectMetadataList", "meta.k8s.io/"+version, l)
	var err error
	for i, it := range l.Items {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendPartial(b, it.JSON, version); err != nil {
			return nil, err
		}
	}
	return append(b, listTail...), nil
}

// metadataOf is the bytes of an object's metadata. What the cache holds has it before anything nested:
//
//	{"kind":"Pod","apiVersion":"v1","metadata":{...},"spec":...
func metadataOf(object []byte) ([]byte, error) {
	if at := bytes.Index(object, []byte(`"metadata":{`)); at > 0 && bytes.IndexByte(object[1:at], '{') < 0 {
		start := at + len(`"metadata":`)
		if n := nestedEnd(object[start:]); n > 0 {
			return object[start : start+n], nil
		}
	}
	var any struct {
		Metadata json.RawMessage `json:"metadata"`
	}
	if err := json.Unmarshal(object, &any); err != nil {
		return nil, fmt.Errorf("reading metadata: %w", err)
	}
	if any.Metadata == nil {
		return []byte("{}"), nil
	}
	return any.Metadata, nil
}

// nestedEnd is the length of the JSON object that data starts with; 0 where it does not end.
func nestedEnd(data []byte) int {
	depth, text := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}
