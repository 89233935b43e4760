package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"
)

// Objects of a version without a Go type are *unstructured.Unstructured: JSON as maps and slices, with numbers as int64 and
// float64. Their metadata has the same types as ObjectMeta, so that accessors work.

// NewUnstructured is the New of a version without a Go type.
func NewUnstructured() Object { return &unstructured.Unstructured{Object: map[string]any{}} }

// NewUnstructuredList is the NewList of a version without a Go type.
func NewUnstructuredList() runtime.Object { return &unstructured.UnstructuredList{} }

// IsUnstructured tells that the version has no Go type.
func (v *Version) IsUnstructured() bool {
	_, is := v.New().(*unstructured.Unstructured)
	return is
}

// decodeUnstructured reads u from JSON. Unknown fields of metadata are dropped and named in warnings, as are duplicate fields.
func decodeUnstructured(v *Version, data []byte, u *unstructured.Unstructured) (warnings []string, err error) {
	if err := CheckDepth(data); err != nil {
		return nil, &ValueError{field.ErrorList{field.Invalid(field.NewPath(""), "", err.Error())}}
	}
	strict, err := kjson.UnmarshalStrict(data, &u.Object)
	if err != nil {
		return nil, err
	}
	if u.Object == nil {
		return nil, errors.New("the body is not a JSON object") // null
	}
	for _, w := range strict {
		warnings = append(warnings, w.Error())
	}
	delete(u.Object, storedWriter)
	for _, name := range []string{"kind", "apiVersion"} {
		if _, text := u.Object[name].(string); !text && u.Object[name] != nil {
			return nil, fmt.Errorf("%s is not a string", name)
		}
	}
	unknown, err := typeMetadata(u)
	if err != nil {
		return nil, err
	}
	warnings = append(warnings, unknown...)
	if v.Prune != nil {
		paths, err := v.Prune(u)
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			warnings = append(warnings, fmt.Sprintf("unknown field %q", path))
		}
	}
	return warnings, nil
}

// typeMetadata converts u's metadata to the types of ObjectMeta, or returns an error about a member of another type.
func typeMetadata(u *unstructured.Unstructured) (warnings []string, err error) {
	raw, there := u.Object["metadata"]
	if !there || raw == nil {
		delete(u.Object, "metadata")
		return nil, nil
	}
	members, ok := raw.(map[string]any)
	if !ok {
		return nil, metadataError(raw, errors.New("metadata is not a JSON object"))
	}
	if isTyped(members) {
		return nil, nil
	}
	var meta metav1.ObjectMeta
	err = runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(members, &meta, true)
	if strict, ok := runtime.AsStrictDecodingError(err); ok {
		for _, w := range strict.Errors() {
			warnings = append(warnings, strings.Replace(w.Error(), `field "`, `field "metadata.`, 1))
		}
		err = nil
	}
	if err != nil {
		return nil, metadataError(raw, fmt.Errorf("metadata: %w", err))
	}
	typed, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&meta)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	u.Object["metadata"] = typed
	return warnings, nil
}

// metadataError is the error of metadata that is no ObjectMeta, which Kubernetes reads from its JSON; other where that says nothing.
func metadataError(raw any, other error) error {
	text, err := json.Marshal(raw)
	if err != nil {
		return other
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(text, &metav1.ObjectMeta{}); err != nil {
		return err
	}
	return other
}

// The members that come first, in the order in which objects with a Go type have them; the others follow in alphabetical
// order.
var (
	firstMembers  = []string{"kind", "apiVersion", "metadata", "spec", "status"}
	firstMetadata = []string{"name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "generation", "creationTimestamp",
		"deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences", "finalizers", "managedFields"}
)

// encodeUnstructured writes u as compact JSON; exact tells that decoding it gives u.
func encodeUnstructured(u *unstructured.Unstructured) (data []byte, exact bool, err error) {
	w := jsonWriter{}
	w.encoder = json.NewEncoder(&w.out)
	w.encoder.SetEscapeHTML(false)
	w.object(u.Object, firstMembers)
	if w.err != nil {
		return nil, false, w.err
	}
	return bytes.Clone(w.out.Bytes()), isPlainJSON(u.Object, 0), nil
}

// jsonWriter writes JSON objects member by member.
type jsonWriter struct {
	out     bytes.Buffer
	encoder *json.Encoder // to out
	err     error
}

// object writes a JSON object, the members in first before the others.
func (w *jsonWriter) object(m map[string]any, first []string) {
	separator := byte('{')
	member := func(name string) {
		w.out.WriteByte(separator)
		separator = ','
		w.value(name)
		w.out.WriteByte(':')
		if inner, ok := m[name].(map[string]any); ok && name == "metadata" && len(first) == len(firstMembers) {
			w.object(inner, firstMetadata)
		} else {
			w.value(m[name])
		}
	}
	for _, name := range first {
		if _, there := m[name]; there {
			member(name)
		}
	}
	var few [16]string // most objects have no more members
	names := few[:0]
	for name := range m {
		if !slices.Contains(first, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		member(name)
	}
	if separator == '{' {
		w.out.WriteByte('{')
	}
	w.out.WriteByte('}')
}

// value writes any value as encoding/json does, which is asked for texts with escapes and for numbers with fractions.
func (w *jsonWriter) value(v any) {
	switch v := v.(type) {
	case nil:
		w.out.WriteString("null")
		return
	case bool:
		w.out.Write(strconv.AppendBool(w.out.AvailableBuffer(), v))
		return
	case int64:
		w.out.Write(strconv.AppendInt(w.out.AvailableBuffer(), v, 10))
		return
	case string:
		if isVerbatim(v) {
			w.out.WriteByte('"')
			w.out.WriteString(v)
			w.out.WriteByte('"')
			return
		}
	case map[string]any:
		if v != nil {
			w.object(v, nil)
			return
		}
	case []any:
		if v != nil {
			w.list(v)
			return
		}
	}
	if err := w.encoder.Encode(v); err != nil {
		w.err = err
		return
	}
	w.out.Truncate(w.out.Len() - 1) // the newline
}

func (w *jsonWriter) list(list []any) {
	w.out.WriteByte('[')
	for i, v := range list {
		if i > 0 {
			w.out.WriteByte(',')
		}
		w.value(v)
	}
	w.out.WriteByte(']')
}

// isVerbatim tells that JSON has a text as it is.
func isVerbatim(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// isPlainJSON tells whether v is what decoding its JSON gives.
func isPlainJSON(v any, depth int) bool {
	if depth > MaxDepth {
		return false
	}
	switch v := v.(type) {
	case nil, bool, int64:
		return true
	case string:
		return utf8.ValidString(v)
	case float64:
		return v != math.Trunc(v) // else it is read as an int64, or written with an exponent
	case []any:
		for _, e := range v {
			if !isPlainJSON(e, depth+1) {
				return false
			}
		}
		return v != nil
	case map[string]any:
		for name, e := range v {
			if !utf8.ValidString(name) || !isPlainJSON(e, depth+1) {
				return false
			}
		}
		return v != nil
	}
	return false
}

// unstructuredSelectorText is a LabelSelector or a map of labels as list requests write it; "" for one that does not parse.
func unstructuredSelectorText(m map[string]any) string {
	var s metav1.LabelSelector
	if runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(m, &s, true) == nil {
		return labelSelectorText(&s)
	}
	set := labels.Set{}
	for key, value := range m {
		text, ok := value.(string)
		if !ok {
			return ""
		}
		set[key] = text
	}
	return labels.SelectorFromSet(set).String()
}
