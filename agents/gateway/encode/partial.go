package encode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/schema"
)

// What objects can be shown as.
const (
	tableKind       = "Table"
	partialKind     = "PartialObjectMetadata"
	partialListKind = "PartialObjectMetadataList"
)

// noList is the answer to a request for the list of what is one object, isList to one for what is a list as an object.
func noList(v *schema.Version) error {
	return notAcceptable(fmt.Sprintf("you requested PartialObjectMetadataList, but the requested object is not a list (%s)", internalType(v, "")))
}

func isList(v *schema.Version) error {
	return notAcceptable(fmt.Sprintf("you requested PartialObjectMetadata, but the requested object is a list (%s)", internalType(v, "List")))
}

func notAcceptable(text string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotAcceptable, Reason: metav1.StatusReasonNotAcceptable, Message: text,
	}}
}

// internalType is Kubernetes' own Go type for a version, which it names in errors: "*core.PodList", "*apps.Deployment".
func internalType(v *schema.Version, suffix string) string {
	if v.IsUnstructured() {
		return "*unstructured.Unstructured" + suffix
	}
	name, _, _ := strings.Cut(v.Group, ".")
	switch v.Group {
	case "", "events.k8s.io":
		name = "core"
	case "internal.apiserver.k8s.io":
		name = "apiserverinternal"
	}
	return "*" + name + "." + v.Kind + suffix
}

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
