package customkinds

import (
	"context"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

const parcels = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: parcels.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: parcels, kind: Parcel}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
  - {name: v2, served: false, storage: false, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`

// TestStorageVersionChanges reads and writes, in both versions of a kind without conversion webhook, what was stored before the stored version changed.
func TestStorageVersionChanges(t *testing.T) {
	c := client(t, start(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	install(t, c, parcels)
	in := func(version string) kschema.GroupVersionResource {
		return kschema.GroupVersionResource{Group: "example.com", Version: version, Resource: "parcels"}
	}
	v1, v2 := c.Resource(in("v1")).Namespace("default"), c.Resource(in("v2")).Namespace("default")
	u := object("example.com/v1", "a", map[string]any{"weight": int64(3)})
	u.SetKind("Parcel")
	wantSpec(t, "created", "v1 [weight:3]")(v1.Create(ctx, u, metav1.CreateOptions{}))
	const patch = `[{"op":"replace","path":"/spec/versions/0/storage","value":false},{"op":"replace","path":"/spec/versions/1/storage","value":true},
		{"op":"replace","path":"/spec/versions/1/served","value":true}]`
	if _, err := c.Resource(definitions).Patch(ctx, "parcels.example.com", types.JSONPatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	read, err := v2.Get(ctx, "a", metav1.GetOptions{})
	for apierrors.IsNotFound(err) && ctx.Err() == nil { // until v2 is served
		read, err = v2.Get(ctx, "a", metav1.GetOptions{})
	}
	wantSpec(t, "read in v2", "v2 [weight:3]")(read, err)
	wantSpec(t, "read in v1", "v1 [weight:3]")(v1.Get(ctx, "a", metav1.GetOptions{ResourceVersion: "0"}))
	wantSpec(t, "patched in v2", "v2 [colour:red weight:3]")(v2.Patch(ctx, "a", types.MergePatchType, []byte(`{"spec":{"colour":"red"}}`), metav1.PatchOptions{}))
	wantSpec(t, "patched in v1", "v1 [colour:blue weight:3]")(v1.Patch(ctx, "a", types.MergePatchType, []byte(`{"spec":{"colour":"blue"}}`), metav1.PatchOptions{}))
}
