package customkinds

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
)

var (
	endpointsInV1 = kschema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "endpoints"}
	endpointsInV2 = kschema.GroupVersionResource{Group: "example.com", Version: "v2", Resource: "endpoints"}
)

func endpoint(version, name string, spec map[string]any) *unstructured.Unstructured {
	u := object("example.com/"+version, name, spec)
	u.SetKind("Endpoint")
	return u
}

func specOf(u *unstructured.Unstructured) string {
	spec, _ := u.Object["spec"].(map[string]any)
	return strings.TrimPrefix(u.GetAPIVersion(), "example.com/") + " " + strings.TrimPrefix(fmt.Sprint(spec), "map")
}

// wantSpec checks the version and the spec of an object: "v1 [hostPort:a:80]".
func wantSpec(t *testing.T, what, want string) func(*unstructured.Unstructured, error) *unstructured.Unstructured {
	t.Helper()
	return func(u *unstructured.Unstructured, err error) *unstructured.Unstructured {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := specOf(u); got != want {
			t.Fatalf("%s: %s, want %s", what, got, want)
		}
		return u
	}
}

// wantDown checks that an error is of a webhook that does not answer.
func wantDown(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil || apierrors.ReasonForError(err) != "" || !strings.Contains(err.Error(), "conversion webhook for example.com/") {
		t.Errorf("%s with the webhook down: %v", what, err)
	}
}

// TestConversionWebhook reads and writes objects in two versions between which a webhook converts, while and after the version that they are
// stored in changes.
func TestConversionWebhook(t *testing.T) {
	hook := newConverter(t)
	c := client(t, start(t))
	ctx := t.Context()
	install(t, c, hook.definition(t, "v1"))
	v1, v2 := c.Resource(endpointsInV1).Namespace("default"), c.Resource(endpointsInV2).Namespace("default")
	events, err := v2.Watch(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Stop()

	wantSpec(t, "created in v1", "v1 [hostPort:a:1]")(v1.Create(ctx, endpoint("v1", "a", map[string]any{"hostPort": "a:1"}), metav1.CreateOptions{}))
	if got := specOf(next(t, events, watch.Added, "a")); got != "v2 [host:a port:1]" {
		t.Errorf("watched in v2: %s", got)
	}
	made := wantSpec(t, "created in v2", "v2 [host:b port:80]")(v2.Create(ctx, endpoint("v2", "b", map[string]any{"host": "b"}), metav1.CreateOptions{}))
	if made.GetGeneration() != 1 || made.GetUID() == "" {
		t.Errorf("created in v2: %v", made.Object)
	}
	next(t, events, watch.Added, "b")
	wantSpec(t, "got in v1", "v1 [hostPort:b:80]")(v1.Get(ctx, "b", metav1.GetOptions{}))

	_, err = v2.Create(ctx, endpoint("v2", "c", map[string]any{"host": "0123456789"}), metav1.CreateOptions{})
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.host: Too long") {
		t.Errorf("what v2 does not allow: %v", err)
	}
	_, err = v2.Create(ctx, endpoint("v2", "c", map[string]any{"host": "bad"}), metav1.CreateOptions{})
	if err == nil || !strings.Contains(err.Error(), "conversion webhook for example.com/v2, Kind=Endpoint failed: the host is bad") {
		t.Errorf("what the webhook refuses: %v", err)
	}

	b := wantSpec(t, "patched in v2", "v2 [host:b port:8]")(v2.Patch(ctx, "b", types.MergePatchType, []byte(`{"spec":{"port":"8"}}`), metav1.PatchOptions{}))
	if err := unstructured.SetNestedField(b.Object, "9", "spec", "port"); err != nil {
		t.Fatal(err)
	}
	b = wantSpec(t, "updated in v2", "v2 [host:b port:9]")(v2.Update(ctx, b, metav1.UpdateOptions{}))
	if b.GetGeneration() != 3 {
		t.Errorf("generation %d, want 3", b.GetGeneration())
	}
	selectByField(t, v2)
	applyInBoth(t, v1, v2)
	changeStorage(t, c, hook)
}

// selectByField lists and watches by a field that only v2 has.
func selectByField(t *testing.T, v2 dynamic.ResourceInterface) {
	t.Helper()
	ctx := t.Context()
	list, err := v2.List(ctx, metav1.ListOptions{FieldSelector: "spec.host=b"})
	if err != nil || len(list.Items) != 1 || list.Items[0].GetName() != "b" {
		t.Fatalf("listed by a field of v2: %v, %v", list, err)
	}
	events, err := v2.Watch(ctx, metav1.ListOptions{FieldSelector: "spec.host=b", ResourceVersion: list.GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Stop()
	for _, step := range []struct {
		host string
		want watch.EventType
	}{{"x", watch.Deleted}, {"y", ""}, {"b", watch.Added}} {
		if _, err := v2.Patch(ctx, "b", types.MergePatchType, []byte(`{"spec":{"host":"`+step.host+`"}}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		if step.want != "" {
			next(t, events, step.want, "b")
		}
	}
}

// applyInBoth applies in one version what is applied in the other as well: managers of fields are known in both.
func applyInBoth(t *testing.T, v1, v2 dynamic.ResourceInterface) {
	t.Helper()
	ctx := t.Context()
	wantSpec(t, "applied in v2", "v2 [host:d port:80]")(v2.Apply(ctx, "d", endpoint("v2", "d", map[string]any{"host": "d"}), metav1.ApplyOptions{FieldManager: "one"}))
	_, err := v1.Apply(ctx, "d", endpoint("v1", "d", map[string]any{"hostPort": "e:80"}), metav1.ApplyOptions{FieldManager: "two"})
	if err != nil && !apierrors.IsConflict(err) {
		t.Fatalf("applied in v1: %v", err)
	}
	u := wantSpec(t, "applied in v1 by force", "v1 [hostPort:e:80]")(v1.Apply(ctx, "d", endpoint("v1", "d", map[string]any{"hostPort": "e:80"}), metav1.ApplyOptions{FieldManager: "two", Force: true}))
	versions := map[string]string{}
	for _, m := range u.GetManagedFields() {
		versions[m.Manager] = m.APIVersion
	}
	if versions["two"] != "example.com/v1" {
		t.Errorf("managers: %v", versions)
	}
	wantSpec(t, "a status in v2", "v2 [host:e port:80]")(v2.Patch(ctx, "d", types.MergePatchType, []byte(`{"status":{"ready":true}}`), metav1.PatchOptions{}, "status"))
}

// changeStorage stores objects in v2 from now on, lists those of both versions, and ends the webhook.
func changeStorage(t *testing.T, c dynamic.Interface, hook *converter) {
	t.Helper()
	ctx := t.Context()
	v1, v2 := c.Resource(endpointsInV1).Namespace("default"), c.Resource(endpointsInV2).Namespace("default")
	storage := func(version string) {
		t.Helper()
		of := map[bool]string{true: "true", false: "false"}
		patch := fmt.Sprintf(`[{"op":"replace","path":"/spec/versions/0/storage","value":%s},{"op":"replace","path":"/spec/versions/1/storage","value":%s}]`,
			of[version == "v1"], of[version == "v2"])
		d, err := c.Resource(definitions).Patch(ctx, "endpoints.example.com", types.JSONPatchType, []byte(patch), metav1.PatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if stored, _, _ := unstructured.NestedStringSlice(d.Object, "status", "storedVersions"); !slices.Contains(stored, version) {
			t.Errorf("stored versions: %v", stored)
		}
	}
	namespaces := c.Resource(kschema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	ended := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "ended"}}}
	if _, err := namespaces.Create(ctx, ended, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	in := endpoint("v1", "old", map[string]any{"hostPort": "o:1"})
	in.SetNamespace("ended")
	if _, err := c.Resource(endpointsInV1).Namespace("ended").Create(ctx, in, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	storage("v2")
	createWhenServed(t, v2, endpoint("v2", "f", map[string]any{"host": "f", "port": "5"}), hook)
	hook.asked()
	list, err := v2.List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range list.Items {
		got = append(got, specOf(&list.Items[i]))
	}
	if want := []string{"v2 [host:a port:1]", "v2 [host:b port:9]", "v2 [host:e port:80]", "v2 [host:f port:5]"}; !slices.Equal(got, want) {
		t.Errorf("a list in v2: %q, want %q", got, want)
	}
	if asked := hook.asked(); len(asked) != 1 || strings.Count(asked[0], "v1 to v2") != 3 {
		t.Errorf("for a list of objects in two versions the webhook was asked %q", asked)
	}
	wantSpec(t, "what was written in v1", "v2 [host:a port:2]")(v2.Patch(ctx, "a", types.MergePatchType, []byte(`{"spec":{"port":"2"}}`), metav1.PatchOptions{}))

	hook.Close()
	events, err := v1.Watch(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Stop()
	wantErrorEvent(t, events)
	_, err = v1.Get(ctx, "f", metav1.GetOptions{})
	wantDown(t, "a get", err)
	_, err = v1.List(ctx, metav1.ListOptions{})
	wantDown(t, "a list", err)
	_, err = v1.Create(ctx, endpoint("v1", "g", map[string]any{"hostPort": "g:1"}), metav1.CreateOptions{})
	wantDown(t, "a create", err)
	_, err = v1.Patch(ctx, "f", types.MergePatchType, []byte(`{"spec":{"hostPort":"h:1"}}`), metav1.PatchOptions{})
	wantDown(t, "a patch", err)
	wantDown(t, "a delete", v1.Delete(ctx, "f", metav1.DeleteOptions{}))
	_, err = v1.List(ctx, metav1.ListOptions{LabelSelector: "no=such"})
	if err != nil {
		t.Errorf("a list of nothing: %v", err)
	}
	wantSpec(t, "a get in the stored version", "v2 [host:f port:5]")(v2.Get(ctx, "f", metav1.GetOptions{}))
	wantSpec(t, "a create in the stored version", "v2 [host:g port:80]")(v2.Create(ctx, endpoint("v2", "g", map[string]any{"host": "g"}), metav1.CreateOptions{}))
	if err := v2.Delete(ctx, "g", metav1.DeleteOptions{}); err != nil {
		t.Errorf("a delete in the stored version: %v", err)
	}
	gone, err := namespaces.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=ended"})
	if err != nil {
		t.Fatal(err)
	}
	defer gone.Stop()
	next(t, gone, watch.Added, "ended")
	if err := namespaces.Delete(ctx, "ended", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	for e := range gone.ResultChan() {
		if e.Type == watch.Deleted { // without a conversion of what is in it
			return
		}
	}
	t.Error("the watch of the namespace ended before it")
}

// createWhenServed creates an object as soon as the changed definition is served: what is written needs no conversion then.
func createWhenServed(t *testing.T, v2 dynamic.ResourceInterface, u *unstructured.Unstructured, hook *converter) {
	t.Helper()
	ctx := t.Context()
	deadline := time.Now().Add(time.Minute)
	for {
		hook.asked()
		made, err := v2.Create(ctx, u, metav1.CreateOptions{})
		if err == nil && len(hook.asked()) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the changed definition is not served: %v", err)
		}
		if err == nil {
			uid := made.GetUID()
			if err := v2.Delete(ctx, u.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}); err != nil && !apierrors.IsTooManyRequests(err) && !apierrors.IsNotFound(err) {
				t.Fatal(err)
			}
		}
	}
}

func wantErrorEvent(t *testing.T, events watch.Interface) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case e, open := <-events.ResultChan():
			switch {
			case !open:
				t.Fatal("the watch ended without an error")
			case e.Type == watch.Error:
				if err := apierrors.FromObject(e.Object); !strings.Contains(err.Error(), "conversion webhook for") {
					t.Errorf("the watch ended with %v", err)
				}
				return
			}
		case <-deadline:
			t.Fatal("the watch goes on")
		}
	}
}
