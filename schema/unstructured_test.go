package schema

import (
	"errors"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var widget = &Version{Group: "example.com", Version: "v1", Kind: "Widget", New: NewUnstructured, NewList: NewUnstructuredList}

func TestUnstructuredCodec(t *testing.T) {
	const head = `{"kind":"Widget","apiVersion":"example.com/v1"`
	for _, tt := range []struct{ name, in, want, warning, err string }{
		{name: "order", in: `{"z":1,"status":{},"spec":{"b":1,"a":2},"metadata":{"labels":{"b":"1","a":"2"},"uid":"u","name":"n"},"apiVersion":"example.com/v1","kind":"Widget"}`,
			want: head + `,"metadata":{"name":"n","uid":"u","labels":{"a":"2","b":"1"}},"spec":{"a":2,"b":1},"status":{},"z":1}`},
		{name: "no kind", in: `{"metadata":{"name":"n"}}`, want: head + `,"metadata":{"name":"n"}}`},
		{name: "numbers and texts", in: `{"a":9007199254740993,"b":1.5,"c":"<&\u2028>","d":[null,true]}`, want: head + `,"a":9007199254740993,"b":1.5,"c":"<&\u2028>","d":[null,true]}`},
		{name: "a whole number with a point", in: `{"a":1.0}`, want: head + `,"a":1}`},
		{name: "who wrote it", in: `{"a":1,"$by":{"user":"u"}}`, want: head + `,"a":1}`},
		{name: "part of a second", in: `{"metadata":{"creationTimestamp":"2026-01-02T03:04:05.6Z"}}`, want: head + `,"metadata":{"creationTimestamp":"2026-01-02T03:04:05Z"}}`},
		{name: "unknown metadata", in: `{"metadata":{"name":"n","x":1}}`, want: head + `,"metadata":{"name":"n"}}`, warning: `unknown field "metadata.x"`},
		{name: "twice", in: `{"a":1,"a":2}`, want: head + `,"a":2}`, warning: `duplicate field "a"`},
		{name: "null", in: `null`, err: "not a JSON object"},
		{name: "list", in: `[]`, err: "not a JSON object"},
		{name: "kind is no text", in: `{"kind":1}`, err: "kind is not a string"},
		{name: "another kind", in: `{"kind":"Gadget","apiVersion":"example.com/v1"}`, err: `no kind "Gadget" is registered`},
		{name: "another version", in: `{"kind":"Widget","apiVersion":"example.com/v2"}`, err: `for version "example.com/v2"`},
		{name: "metadata is a list", in: `{"metadata":[]}`, err: "json: cannot unmarshal array into Go value of type v1.ObjectMeta"},
		{name: "labels are numbers", in: `{"metadata":{"labels":{"a":1}}}`, err: "json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string"},
		{name: "deep", in: `{"a":` + strings.Repeat(`[`, 500) + strings.Repeat(`]`, 500) + `}`, err: "nested deeper"},
	} {
		obj, warnings, err := Decode(widget, []byte(tt.in))
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if err != nil || strings.Join(warnings, ",") != tt.warning {
			t.Errorf("%s: %q, %v", tt.name, warnings, err)
			continue
		}
		stored, data, err := EncodeStored(widget, obj)
		if err != nil || string(data) != tt.want {
			t.Errorf("%s: %s, %v", tt.name, data, err)
		}
		if again, err := Unmarshal(widget, data); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if text, _ := Encode(again); string(text) != tt.want || stored == nil {
			t.Errorf("%s: again %s", tt.name, text)
		}
	}
	var values *ValueError
	if _, _, err := Decode(widget, []byte(`{"a":`+strings.Repeat(`[`, 500)+strings.Repeat(`]`, 500)+`}`)); !errors.As(err, &values) {
		t.Errorf("deep: %v", err)
	}
}

// TestStoredUnstructured checks that values that JSON does not keep are replaced by what a reader decodes.
func TestStoredUnstructured(t *testing.T) {
	u := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": "n"}, "a": 2.0, "b": "\xff", "c": []string{"x"}}}
	widget.SetTypeMeta(u)
	stored, _, err := EncodeStored(widget, u)
	if err != nil {
		t.Fatal(err)
	}
	got := stored.(*unstructured.Unstructured).Object
	if got["a"] != int64(2) || got["b"] != "\ufffd" || got["c"].([]any)[0] != "x" {
		t.Errorf("%#v", got)
	}
}

func TestSameFields(t *testing.T) {
	k := &Kind{Version: Version{Group: "a.com", Version: "v1", Kind: "A", New: func() Object { return &corev1.ConfigMap{} }}}
	v := &Version{Group: "b.com", Version: "v2", Kind: "A", New: func() Object { return &corev1.ConfigMap{} }}
	in := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Data: map[string]string{"a": "b"}}
	k.SetTypeMeta(in)
	out, err := FromStored(t.Context(), k, v, []Object{in})
	if err != nil || out[0].(*corev1.ConfigMap).Data["a"] != "b" || out[0].GetObjectKind().GroupVersionKind() != v.GVK() || in.APIVersion != "a.com/v1" {
		t.Error(out, err)
	}
	u := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": "n"}}}
	if out, err = FromStored(t.Context(), k, widget, []Object{u}); err != nil || out[0].GetObjectKind().GroupVersionKind() != widget.GVK() || u.GetKind() != "" {
		t.Error(out, err)
	}
	out[0].SetName("other")
	if u.GetName() != "n" {
		t.Error("the stored object was changed")
	}
}

func TestScale(t *testing.T) {
	row := ScaleAt(".spec.replicas", ".status.replicas", ".spec.selector")
	one, labels := int32(1), &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
	for _, tt := range []struct {
		name     string
		row      Subresource
		obj      Object
		selector string
	}{
		{"typed", row, &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &one, Selector: labels}, Status: appsv1.DeploymentStatus{Replicas: 2}}, "a=b"},
		{"a map", ScaleAt(".spec.replicas", ".status.replicas", ".spec.selector"), &corev1.ReplicationController{
			Spec: corev1.ReplicationControllerSpec{Replicas: &one, Selector: map[string]string{"a": "b"}}, Status: corev1.ReplicationControllerStatus{Replicas: 2}}, "a=b"},
		{"unstructured", row, &unstructured.Unstructured{Object: map[string]any{
			"spec":   map[string]any{"replicas": int64(1), "selector": map[string]any{"matchLabels": map[string]any{"a": "b"}}},
			"status": map[string]any{"replicas": int64(2)}}}, "a=b"},
		{"unstructured, a map", row, &unstructured.Unstructured{Object: map[string]any{
			"spec":   map[string]any{"replicas": int64(1), "selector": map[string]any{"a": "b"}},
			"status": map[string]any{"replicas": int64(2)}}}, "a=b"},
		{"text", ScaleAt(".spec.replicas", ".status.replicas", ".status.selector"), &unstructured.Unstructured{Object: map[string]any{
			"spec": map[string]any{"replicas": int64(1)}, "status": map[string]any{"replicas": int64(2), "selector": "x in (y)"}}}, "x in (y)"},
	} {
		spec, status, selector := tt.row.Scale.Get(tt.obj)
		if spec != 1 || status != 2 || selector != tt.selector || tt.row.Scale.SpecOf(tt.obj) != 1 {
			t.Errorf("%s: %d %d %q", tt.name, spec, status, selector)
		}
		if err := tt.row.Scale.Set(tt.obj, 5); err != nil || tt.row.Scale.SpecOf(tt.obj) != 5 {
			t.Errorf("%s: set %d, %v", tt.name, tt.row.Scale.SpecOf(tt.obj), err)
		}
	}
	empty := &unstructured.Unstructured{Object: map[string]any{"spec": "text"}}
	if spec, status, selector := row.Scale.Get(empty); spec != 0 || status != 0 || selector != "" || row.Scale.Set(empty, 1) == nil {
		t.Error(spec, status, selector)
	}
	odd := ScaleAt(".spec.template", "", "")
	if err := odd.Scale.Set(&appsv1.Deployment{}, 1); err == nil {
		t.Error("a template was set to a number")
	}
	if n := testing.AllocsPerRun(100, func() { row.Scale.SpecOf(&appsv1.Deployment{}) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}
