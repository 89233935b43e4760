package schema

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func testKinds() (pods, nodes, specs *Kind) {
	pods = &Kind{Plural: "pods", Namespaced: true, Prefix: "pods",
		Version: Version{Version: "v1", Kind: "Pod", New: func() Object { return &corev1.Pod{} }, NewList: func() runtime.Object { return &corev1.PodList{} }}}
	nodes = &Kind{Plural: "nodes", Prefix: "minions",
		Version: Version{Version: "v1", Kind: "Node", New: func() Object { return &corev1.Node{} }, NewList: func() runtime.Object { return &corev1.NodeList{} }}}
	specs = &Kind{Plural: "services", Namespaced: true, Prefix: "services/specs",
		Version: Version{Version: "v1", Kind: "Service", New: func() Object { return &corev1.Service{} }, NewList: func() runtime.Object { return &corev1.ServiceList{} }}}
	return pods, nodes, specs
}

func TestSetKey(t *testing.T) {
	pods, nodes, specs := testKinds()
	s := NewSet(pods, nodes, specs)
	for _, tt := range []struct {
		in              string
		kind            *Kind
		namespace, name string
		ok              bool
	}{
		{"pods/default/web", pods, "default", "web", true},
		{"pods/default/", pods, "default", "", true},
		{"pods/", pods, "", "", true},
		{"minions/n1", nodes, "", "n1", true},
		{"minions/", nodes, "", "", true},
		{"services/specs/default/web", specs, "default", "web", true},
		{"minions/n1/x", nodes, "", "n1/x", false},
		{"pods/web", pods, "", "", false},
		{"pods//web", pods, "", "web", false},
		{"pods/a/b/c", pods, "a", "b/c", false},
		{"pods", nil, "", "", false},
		{"services/other/a/b", nil, "", "", false},
		{"", nil, "", "", false},
		{"/", nil, "", "", false},
	} {
		kind, namespace, name, ok := s.Key(tt.in)
		if kind != tt.kind || ok != tt.ok || ok && (namespace != tt.namespace || name != tt.name) {
			t.Errorf("Key(%q) = %v, %q, %q, %v", tt.in, kind, namespace, name, ok)
		}
	}
}

func TestDecode(t *testing.T) {
	pods, _, _ := testKinds()
	for _, tt := range []struct {
		name, in, err string
		warnings      []string
	}{
		{"kind absent", `{"metadata":{"name":"a"}}`, "", nil},
		{"unknown and duplicate fields", `{"kind":"Pod","apiVersion":"v1","spec":{"foo":1,"nodeName":"a","nodeName":"b"}}`, "", []string{`unknown field "spec.foo"`, `duplicate field "spec.nodeName"`}},
		{"other kind", `{"kind":"Node","apiVersion":"v1"}`, `no kind "Node" is registered for version "v1" in scheme "pkg/runtime/scheme.go:111"`, nil},
		{"a kind alone", `{"kind":"Pod"}`, "", nil},
		{"an apiVersion alone", `{"apiVersion":"v1"}`, "", nil},
		{"an apiVersion of three", `{"apiVersion":"a/b/c"}`, "unexpected GroupVersion string: a/b/c", nil},
		{"list", `[]`, "the body is not a JSON object", nil},
		{"null", `null`, "the body is not a JSON object", nil},
		{"empty", ``, "the body is not a JSON object", nil},
		{"protobuf", "k8s\x00", "the body is not a JSON object", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			obj, warnings, err := Decode(pods.Stored(), []byte(tt.in))
			text := ""
			if err != nil {
				text = err.Error()
			}
			if text != tt.err || len(warnings) != len(tt.warnings) {
				t.Fatalf("err %q, warnings %q", text, warnings)
			}
			for i := range warnings {
				if warnings[i] != tt.warnings[i] {
					t.Errorf("warning %q, want %q", warnings[i], tt.warnings[i])
				}
			}
			if err == nil && obj.GetObjectKind().GroupVersionKind() != pods.GVK() {
				t.Errorf("kind %v", obj.GetObjectKind().GroupVersionKind())
			}
		})
	}
}

func TestEncode(t *testing.T) {
	pods, _, _ := testKinds()
	obj, _, err := Decode(pods.Stored(), []byte(`{"spec":{"containers":[{"command":["a<b>&c"],"name":"c"}]},"metadata":{"name":"a"},"apiVersion":"v1","kind":"Pod"}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Encode(obj)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"spec":{"containers":[{"name":"c","command":["a<b>&c"],"resources":{}}]},"status":{}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
