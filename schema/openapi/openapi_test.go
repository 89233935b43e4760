package openapi

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/kube-openapi/pkg/spec3"
	oproto "k8s.io/kube-openapi/pkg/util/proto"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"gantry/schema"
	"gantry/schema/kinds"
	"gantry/schema/kinds/kindstest"
)

const (
	podModel       = "io.k8s.api.core.v1.Pod"
	podSpecModel   = "io.k8s.api.core.v1.PodSpec"
	containerModel = "io.k8s.api.core.v1.Container"
	metaModel      = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
)

// builtIn are the built-in kinds with their verbs and those of their subresources.
func builtIn() (all []Resource) {
	for _, k := range kinds.BuiltIn().All {
		all = append(all, Resource{Kind: k, Version: k.Stored(), Verbs: k.AllVerbs(), Subresources: k.Subresources})
	}
	return all
}

func TestV2(t *testing.T) {
	text, err := V2(builtIn())
	if err != nil {
		t.Fatal(err)
	}
	var doc spec.Swagger
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	containers := doc.Definitions[podSpecModel].Properties["containers"]
	want := map[string]any{
		"x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "name",
		"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": []any{"name"},
	}
	if diff := cmp.Diff(want, map[string]any(containers.Extensions)); diff != "" {
		t.Errorf("spec.containers (-want +got):\n%s", diff)
	}
	if got := containers.Items.Schema.Ref.String(); got != "#/definitions/"+containerModel {
		t.Errorf("an element of spec.containers is %q", got)
	}
	if diff := cmp.Diff([]string{"containers"}, doc.Definitions[podSpecModel].Required); diff != "" {
		t.Errorf("required of PodSpec (-want +got):\n%s", diff)
	}
	policy := doc.Definitions[containerModel].Properties["imagePullPolicy"]
	if diff := cmp.Diff([]any{"Always", "IfNotPresent", "Never"}, policy.Enum); diff != "" {
		t.Errorf("values of imagePullPolicy (-want +got):\n%s", diff)
	}
	if p := doc.Definitions[metaModel].Properties["creationTimestamp"]; p.Ref.String() == "" || p.Description == "" {
		t.Errorf("creationTimestamp has ref %q and description %q", p.Ref.String(), p.Description)
	}
	patch := doc.Paths.Paths["/api/v1/namespaces/{namespace}/pods/{name}"].Patch
	var names []string
	for _, p := range patch.Parameters {
		if shared := p.Ref.String(); shared != "" {
			p = doc.Parameters[strings.TrimPrefix(shared, "#/parameters/")]
		}
		names = append(names, p.Name)
	}
	if diff := cmp.Diff([]string{"body", "dryRun", "fieldManager", "fieldValidation", "force"}, names); diff != "" {
		t.Errorf("parameters of a patch (-want +got):\n%s", diff)
	}
}

// TestProtobuf reads the document as kubectl does.
func TestProtobuf(t *testing.T) {
	text, err := V2(builtIn())
	if err != nil {
		t.Fatal(err)
	}
	data, err := Protobuf(text)
	if err != nil {
		t.Fatal(err)
	}
	var doc openapi_v2.Document
	if err := proto.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	models, err := oproto.NewOpenAPIData(&doc)
	if err != nil {
		t.Fatal(err)
	}
	pod, ok := models.LookupModel(podModel).(*oproto.Kind)
	if !ok {
		t.Fatalf("the model of pods is %T", models.LookupModel(podModel))
	}
	if diff := cmp.Diff([]any{map[any]any{"group": "", "version": "v1", "kind": "Pod"}}, pod.GetExtensions()[gvkExtension]); diff != "" {
		t.Errorf("kind of the model (-want +got):\n%s", diff)
	}
}

func TestV3(t *testing.T) {
	index, err := V3Index(V3Paths(builtIn()), func(path string) (string, error) {
		d, _ := V3(builtIn(), path)
		return Hash(d), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var paths struct {
		Paths map[string]struct{ ServerRelativeURL string }
	}
	if err := json.Unmarshal(index, &paths); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"api/v1", "apis/apps/v1", "apis/coordination.k8s.io/v1", "apis/discovery.k8s.io/v1"} {
		if url := paths.Paths[path].ServerRelativeURL; !strings.HasPrefix(url, "/openapi/v3/"+path+"?hash=") {
			t.Errorf("address of %s is %q", path, url)
		}
		text, found := V3(builtIn(), path)
		if !found {
			t.Fatalf("no document of %s", path)
		}
		var doc spec3.OpenAPI
		if err := json.Unmarshal(text, &doc); err != nil {
			t.Fatalf("reading the document of %s: %v", path, err)
		}
	}
	if _, found := V3(builtIn(), "apis/none/v1"); found {
		t.Error("a document of a group that does not exist")
	}
	var doc spec3.OpenAPI
	text, _ := V3(builtIn(), "api/v1")
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	pod := doc.Components.Schemas[podModel]
	if got := pod.Properties["spec"].AllOf[0].Ref.String(); got != "#/components/schemas/"+podSpecModel {
		t.Errorf("spec of a pod is %q", got)
	}
	get := doc.Paths.Paths["/api/v1/namespaces/{namespace}/pods"].Get
	if diff := cmp.Diff(map[string]any{"group": "", "version": "v1", "kind": "Pod"}, get.Extensions[gvkExtension]); diff != "" {
		t.Errorf("kind of the list of pods (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{map[string]any{"group": "", "version": "v1", "kind": "Pod"}}, pod.Extensions[gvkExtension]); diff != "" {
		t.Errorf("kind of the model (-want +got):\n%s", diff)
	}
}

// TestDocumentsAreWhole follows every reference and wants every operation id once.
func TestDocumentsAreWhole(t *testing.T) {
	v2, err := V2(builtIn())
	if err != nil {
		t.Fatal(err)
	}
	v3, _ := V3(builtIn(), "api/v1")
	for name, text := range map[string][]byte{"v2": v2, "v3": v3} {
		var doc map[string]any
		if err := json.Unmarshal(text, &doc); err != nil {
			t.Fatal(err)
		}
		ids := map[string]bool{}
		walk(doc, func(key string, value any) {
			text, isText := value.(string)
			switch key {
			case "$ref":
				if !isText {
					return // a field of that name, as the schemas of custom kinds have
				}
				at := any(doc)
				for step := range strings.SplitSeq(strings.TrimPrefix(text, "#/"), "/") {
					at = at.(map[string]any)[step]
				}
				if at == nil {
					t.Errorf("%s: %s leads nowhere", name, text)
				}
			case "operationId":
				if ids[text] {
					t.Errorf("%s: two operations are called %s", name, text)
				}
				ids[text] = true
			}
		})
		if !ids["listCoreV1PodForAllNamespaces"] || !ids["deleteCoreV1CollectionNamespacedPod"] || !ids["readCoreV1Node"] {
			t.Errorf("%s: operations are missing", name)
		}
	}
}

func TestSubresources(t *testing.T) {
	k := kinds.BuiltIn().Resource("", "pods")
	binding := &schema.Version{Version: "v1", Kind: "Binding", New: func() schema.Object { return &corev1.Binding{} }}
	subresources := []schema.Subresource{
		schema.ScaleAt(".spec.replicas", ".status.replicas", ".spec.selector"),
		{Name: "binding", Verbs: []string{"create"}, Body: binding},
		{Name: "exec", Verbs: []string{"create", "get"}, Body: &schema.Version{Version: "v1", Kind: "PodExecOptions"}, Options: func() runtime.Object { return &corev1.PodExecOptions{} }},
		{Name: "log", Verbs: []string{"get"}, Options: func() runtime.Object { return &corev1.PodLogOptions{} }},
		*k.Subresource("status"),
	}
	got := map[string]string{}
	for path, operations := range operationsOf(Resource{Kind: k, Version: k.Stored(), Verbs: k.AllVerbs(), Subresources: subresources}) {
		_, sub, ok := strings.Cut(path, "{name}/")
		for _, o := range operations {
			if ok {
				got[o.method+" "+sub] = o.action + " " + o.gvk.Group + "/" + o.gvk.Version + " " + o.gvk.Kind + " " + o.id
			}
		}
	}
	want := map[string]string{
		"post binding": "post /v1 Binding createCoreV1NamespacedPodBinding",
		"post exec":    "connect /v1 PodExecOptions connectCoreV1PostNamespacedPodExec",
		"get exec":     "connect /v1 PodExecOptions connectCoreV1GetNamespacedPodExec",
		"get log":      "get /v1 Pod readCoreV1NamespacedPodLog",
		"get scale":    "get autoscaling/v1 Scale readCoreV1NamespacedPodScale",
		"patch scale":  "patch autoscaling/v1 Scale patchCoreV1NamespacedPodScale",
		"put scale":    "put autoscaling/v1 Scale replaceCoreV1NamespacedPodScale",
		"get status":   "get /v1 Pod readCoreV1NamespacedPodStatus",
		"patch status": "patch /v1 Pod patchCoreV1NamespacedPodStatus",
		"put status":   "put /v1 Pod replaceCoreV1NamespacedPodStatus",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
}

func walk(v any, f func(key string, value any)) {
	switch v := v.(type) {
	case map[string]any:
		for key, below := range v {
			f(key, below)
			walk(below, f)
		}
	case []any:
		for _, below := range v {
			walk(below, f)
		}
	}
}

func BenchmarkV2(b *testing.B) {
	for b.Loop() {
		text, err := V2(builtIn())
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(text)), "bytes")
	}
}

// Where the schema of a custom kind may hold values of several types, documents say nothing about them: clients would refuse some.
func TestSchemasOfCustomKinds(t *testing.T) {
	text, found := V3(builtIn(), "apis/apiextensions.k8s.io/v1")
	var doc spec3.OpenAPI
	if !found || json.Unmarshal(text, &doc) != nil {
		t.Fatal("no document")
	}
	for _, name := range []string{"JSON", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrStringArray"} {
		s := doc.Components.Schemas["io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."+name]
		if s == nil || s.Description == "" || s.Type != nil || s.Properties != nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestCustom(t *testing.T) {
	k := kindstest.Widget()
	k.List = "Widgets"
	k.Structure = schema.NewStructure([]byte(`{"type":"object","description":"a widget","properties":{
		"spec":{"type":"object","required":["a"],"properties":{"a":{"type":"string","nullable":true},"b":{"type":"integer","maximum":5,"anyOf":[{"minimum":1}]},
			"any":{"type":"object","x-kubernetes-preserve-unknown-fields":true},"pod":{"type":"object","x-kubernetes-embedded-resource":true,"x-kubernetes-preserve-unknown-fields":true}}}}}`))
	all := []Resource{{Kind: k, Version: k.Stored(), Verbs: k.AllVerbs(), Subresources: k.Subresources}}
	text, found := V3(all, "apis/example.com/v1")
	if !found {
		t.Fatal("no document")
	}
	var v3 spec3.OpenAPI
	if err := json.Unmarshal(text, &v3); err != nil {
		t.Fatal(err)
	}
	widget := v3.Components.Schemas["com.example.v1.Widget"]
	spec := widget.Properties["spec"]
	embedded := spec.Properties["pod"]
	switch {
	case widget.Description != "a widget", widget.Properties["kind"].Description == "", len(widget.Extensions["x-kubernetes-selectable-fields"].([]any)) != 1:
		t.Errorf("the model: %+v", widget)
	case *spec.Properties["b"].Maximum != 5, len(spec.Properties["b"].AnyOf) != 1, !spec.Properties["a"].Nullable:
		t.Errorf("its spec: %+v", spec)
	case len(widget.Properties["metadata"].AllOf) != 1, widget.Properties["metadata"].Description == "":
		t.Errorf("its metadata: %+v", widget.Properties["metadata"])
	case len(embedded.Properties) != 3, len(embedded.Required) != 2:
		t.Errorf("an embedded object: %+v", embedded)
	}
	if got := v3.Components.Schemas["com.example.v1.Widgets"].Properties["items"].Items.Schema.Ref.String(); got != "#/components/schemas/com.example.v1.Widget" {
		t.Errorf("items of a list are %q", got)
	}
	if !slices.Contains(V3Paths(all), "apis/example.com/v1") {
		t.Errorf("the index has %q", V3Paths(all))
	}
	one := v3.Paths.Paths["/apis/example.com/v1/namespaces/{namespace}/widgets/{name}"]
	if one.Get == nil || one.Patch.RequestBody.Content["application/strategic-merge-patch+json"] != nil || one.Get.OperationId != "readExampleComV1NamespacedWidget" {
		t.Errorf("one widget: %+v", one)
	}
	if v3.Paths.Paths["/apis/example.com/v1/namespaces/{namespace}/widgets/{name}/scale"] == nil || v3.Paths.Paths["/apis/example.com/v1/watch/widgets"] != nil {
		t.Error("the paths are not those of a custom kind")
	}
	text, err := V2(all)
	if err != nil {
		t.Fatal(err)
	}
	var v2 struct {
		Definitions map[string]struct {
			Properties map[string]struct{ Properties map[string]map[string]any }
		}
	}
	if err := json.Unmarshal(text, &v2); err != nil {
		t.Fatal(err)
	}
	properties := v2.Definitions["com.example.v1.Widget"].Properties["spec"].Properties
	if properties["a"]["type"] != nil || properties["any"]["type"] != nil || properties["b"]["anyOf"] != nil || properties["b"]["type"] != "integer" {
		t.Errorf("version 2: %v", properties)
	}
	k.Structure = nil
	if text, _ = V3(all, "apis/example.com/v1"); json.Unmarshal(text, &v3) != nil || len(v3.Components.Schemas["com.example.v1.Widget"].Properties) != 0 {
		t.Error("a kind without a schema has properties")
	}
}
