package customkinds

import (
	"context"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"gantry/agents/gateway/gatewaytest"
)

var (
	definitions   = kschema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	widgetsInV1   = kschema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}
	widgetsInBeta = kschema.GroupVersionResource{Group: "example.com", Version: "v1beta1", Resource: "widgets"}
)

func client(t *testing.T, c *gatewaytest.Cluster) dynamic.Interface {
	t.Helper()
	d, err := dynamic.NewForConfig(&rest.Config{Host: c.URL, TLSClientConfig: rest.TLSClientConfig{
		CAData: c.CA.PEM, CertFile: c.Admin.CertFile, KeyFile: c.Admin.KeyFile,
	}, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// install creates a definition and returns when it is established.
func install(t *testing.T, c dynamic.Interface, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &d.Object); err != nil {
		t.Fatal(err)
	}
	made, err := c.Resource(definitions).Create(ctx, d, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	events, err := c.Resource(definitions).Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + d.GetName(), ResourceVersion: made.GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Stop()
	for e := range events.ResultChan() {
		conditions, _, _ := unstructured.NestedSlice(e.Object.(*unstructured.Unstructured).Object, "status", "conditions")
		for _, one := range conditions {
			if one := one.(map[string]any); one["type"] == string(apiextensionsv1.Established) && one["status"] == "True" {
				return
			}
		}
	}
	t.Fatal("the definition is not established")
}

func object(apiVersion, name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": apiVersion, "kind": "Widget", "metadata": map[string]any{"name": name, "namespace": "default"}, "spec": spec,
	}}
}

func next(t *testing.T, w watch.Interface, want watch.EventType, name string) *unstructured.Unstructured {
	t.Helper()
	select {
	case e := <-w.ResultChan():
		u, ok := e.Object.(*unstructured.Unstructured)
		if e.Type != want || !ok || u.GetName() != name {
			t.Fatalf("got %s %v, want %s of %s", e.Type, e.Object, want, name)
		}
		return u
	case <-time.After(time.Minute):
		t.Fatalf("no event of %s", name)
	}
	return nil
}

// TestDynamicClient creates, watches, applies and deletes objects in two versions.
func TestDynamicClient(t *testing.T) {
	c := client(t, start(t))
	ctx := t.Context()
	install(t, c, strings.Replace(widgets, "  - name: v1\n", `  - name: v1beta1
    served: true
    storage: false
    deprecated: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {colour: {type: string}, replicas: {type: integer, maximum: 5}}}}}}
  - name: v1
`, 1))
	in, inBeta := c.Resource(widgetsInV1).Namespace("default"), c.Resource(widgetsInBeta).Namespace("default")
	events, err := inBeta.Watch(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Stop()
	made, err := in.Create(ctx, object("example.com/v1", "a", map[string]any{"colour": "red", "port": "http"}), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if n, _, _ := unstructured.NestedInt64(made.Object, "spec", "replicas"); n != 1 || made.GetGeneration() != 1 {
		t.Errorf("created: %v", made.Object)
	}
	seen := next(t, events, watch.Added, "a")
	if _, there, _ := unstructured.NestedFieldNoCopy(seen.Object, "spec", "port"); there || seen.GetAPIVersion() != "example.com/v1beta1" {
		t.Errorf("in v1beta1: %v", seen.Object)
	}
	if _, err := inBeta.Create(ctx, object("example.com/v1beta1", "b", map[string]any{"replicas": int64(6)}), metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("what v1beta1 does not allow: %v", err)
	}
	for manager, name := range map[string]string{"first": "x", "second": "y-key"} {
		config := object("example.com/v1", "a", map[string]any{"items": []any{map[string]any{"name": name, "value": manager}}})
		if _, err := in.Apply(ctx, "a", config, metav1.ApplyOptions{FieldManager: manager}); err != nil {
			t.Fatal(err)
		}
		next(t, events, watch.Modified, "a")
	}
	conflicting := object("example.com/v1", "a", map[string]any{"items": []any{map[string]any{"name": "x", "value": "other"}}})
	if _, err := in.Apply(ctx, "a", conflicting, metav1.ApplyOptions{FieldManager: "third"}); !apierrors.IsConflict(err) {
		t.Errorf("another manager's field: %v", err)
	}
	now, err := in.Get(ctx, "a", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if items, _, _ := unstructured.NestedSlice(now.Object, "spec", "items"); len(items) != 2 {
		t.Errorf("applied: %v", items)
	}
	if _, err := in.Patch(ctx, "a", types.StrategicMergePatchType, []byte(`{}`), metav1.PatchOptions{}); !apierrors.IsUnsupportedMediaType(err) {
		t.Errorf("a strategic merge patch: %v", err)
	}
	now.SetResourceVersion("")
	if _, err := in.Update(ctx, now, metav1.UpdateOptions{}); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "must be specified for an update") {
		t.Errorf("an update without resourceVersion: %v", err)
	}
	if err := in.Delete(ctx, "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	next(t, events, watch.Deleted, "a")
}

// TestDefinitionIsDeletedAsACollection checks what upstream's conformance tests do with definitions.
func TestDefinitionIsDeletedAsACollection(t *testing.T) {
	c := client(t, start(t))
	ctx := t.Context()
	for _, plural := range []string{"widgets", "gizmos"} {
		text := strings.NewReplacer("widget", strings.TrimSuffix(plural, "s"), "Widget", strings.ToUpper(plural[:1])+plural[1:], "[wd]", "[]").Replace(widgets)
		install(t, c, strings.Replace(text, "metadata: {", "metadata: {labels: {of: test}, ", 1))
	}
	if _, err := c.Resource(widgetsInV1).Namespace("default").Create(ctx, object("example.com/v1", "a", map[string]any{}), metav1.CreateOptions{}); err == nil {
		t.Error("an object of another kind was created")
	}
	all := metav1.ListOptions{LabelSelector: "of=test"}
	list, err := c.Resource(definitions).List(ctx, all)
	if err != nil || len(list.Items) != 2 {
		t.Fatal(list, err)
	}
	events, err := c.Resource(definitions).Watch(ctx, metav1.ListOptions{LabelSelector: "of=test", ResourceVersion: list.GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Stop()
	if err := c.Resource(definitions).DeleteCollection(ctx, metav1.DeleteOptions{}, all); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(time.Minute)
	for gone := 0; gone < 2; {
		select {
		case e := <-events.ResultChan():
			if e.Type == watch.Deleted {
				gone++
			}
		case <-deadline:
			t.Fatal("definitions stay")
		}
	}
}
