package schema

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// Metadata that is told to be typed is not changed by being converted to ObjectMeta and back.
func TestTypedMetadata(t *testing.T) {
	full := map[string]any{
		"name": "n", "generateName": "g-", "namespace": "ns", "uid": "u", "resourceVersion": "7", "generation": int64(2), "creationTimestamp": "2026-01-02T03:04:05Z",
		"labels": map[string]any{"a": "", "b": "1"}, "annotations": map[string]any{"c": "d"}, "finalizers": []any{"e/f", ""},
		"ownerReferences": []any{map[string]any{"apiVersion": "v1", "kind": "K", "name": "", "uid": "u", "controller": false, "blockOwnerDeletion": true}},
		"managedFields": []any{map[string]any{"manager": "m", "operation": "Apply", "apiVersion": "v1", "time": "2026-01-02T03:04:05Z", "fieldsType": "FieldsV1",
			"fieldsV1": map[string]any{"f:spec": map[string]any{"f:a": map[string]any{}, `k:{"b":"<&>"}`: map[string]any{".": map[string]any{}}}}, "subresource": "status"}},
	}
	wrong := []any{nil, "", "x", int64(0), int64(1), 1.5, true, map[string]any{}, map[string]any{"a": int64(1)}, []any{}, []any{nil}, []any{map[string]any{}},
		"2026-01-02T03:04:05.6Z", "2026-01-02T03:04:05+01:00", "0001-01-01T00:00:00Z", "2026-13-02T03:04:05Z", map[string]any{"fieldsV1": map[string]any{"a": 1.0}}}
	all := []map[string]any{full, {"name": "n", "deletionTimestamp": "2026-01-02T03:04:05Z"}, {"unknown": "x"}, {}}
	for _, name := range slices.Sorted(maps.Keys(full)) {
		for _, value := range wrong {
			one := runtime.DeepCopyJSON(full)
			one[name] = runtime.DeepCopyJSONValue(value)
			all = append(all, one)
		}
		for _, list := range []string{"ownerReferences", "managedFields"} {
			for _, member := range slices.Sorted(maps.Keys(full[list].([]any)[0].(map[string]any))) {
				for _, value := range wrong {
					one := runtime.DeepCopyJSON(full)
					one[list].([]any)[0].(map[string]any)[member] = runtime.DeepCopyJSONValue(value)
					all = append(all, one)
				}
			}
		}
	}
	if !isTyped(full) {
		t.Error("what has every member is not typed")
	}
	for _, m := range all {
		if !isTyped(m) {
			continue
		}
		var meta metav1.ObjectMeta
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(runtime.DeepCopyJSON(m), &meta, true); err != nil {
			t.Errorf("%v: %v", m, err)
			continue
		}
		typed, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&meta)
		if diff := cmp.Diff(m, typed); err != nil || diff != "" {
			t.Errorf("%v, %s", err, diff)
		}
	}
}

// JSON is written as encoding/json writes it.
func TestUnstructuredJSON(t *testing.T) {
	object := map[string]any{}
	for i := range 0x180 {
		object["k"+string(rune(i))+"k"] = "a" + string(rune(i)) + "b"
	}
	object["more"] = []any{nil, true, false, int64(-7), 1.5, 1e21, "\u2028", "\xff", "é", map[string]any{"b": []any{}, "a": map[string]any{}}, []any(nil), map[string]any(nil)}
	got, err := Encode(&unstructured.Unstructured{Object: map[string]any{"x": object}})
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	e := json.NewEncoder(&want)
	e.SetEscapeHTML(false)
	if err := e.Encode(map[string]any{"x": object}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(got)+"\n"); diff != "" {
		t.Error(diff)
	}
}
