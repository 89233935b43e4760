package clientgo

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/disk"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/openapi3"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
)

func contains(verbs metav1.Verbs, verb string) bool { return slices.Contains(verbs, verb) }

func mustGroupVersion(t *testing.T, text string) schema.GroupVersion {
	t.Helper()
	gv, err := schema.ParseGroupVersion(text)
	if err != nil {
		t.Fatal(err)
	}
	return gv
}

// TestDiscoveryCaches asks the caches on disk and in memory and maps kinds and short names by them.
func TestDiscoveryCaches(t *testing.T) {
	onDisk, err := disk.NewCachedDiscoveryClientForConfig(rest.CopyConfig(plane.Config), t.TempDir(), t.TempDir(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := discovery.NewDiscoveryClientForConfig(plane.Config)
	if err != nil {
		t.Fatal(err)
	}
	legacy, err := discovery.NewDiscoveryClientForConfig(plane.Config)
	if err != nil {
		t.Fatal(err)
	}
	legacy.UseLegacyDiscovery = true
	for name, client := range map[string]discovery.CachedDiscoveryInterface{
		"disk": onDisk, "memory": memory.NewMemCacheClient(plain), "memory of the legacy documents": memory.NewMemCacheClient(legacy),
	} {
		mapper := restmapper.NewShortcutExpander(restmapper.NewDeferredDiscoveryRESTMapper(client), client, nil)
		mapping, err := mapper.RESTMapping(schema.GroupKind{Group: "apps", Kind: "Deployment"})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if mapping.Resource != (schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}) || mapping.Scope.Name() != "namespace" {
			t.Errorf("%s: Deployment is %v in scope %s", name, mapping.Resource, mapping.Scope.Name())
		}
		for short, want := range map[string]string{"po": "pods", "hpa": "horizontalpodautoscalers", "pdb": "poddisruptionbudgets", "ing": "ingresses", "csr": "certificatesigningrequests"} {
			got, err := mapper.ResourceFor(schema.GroupVersionResource{Resource: short})
			if err != nil || got.Resource != want {
				t.Errorf("%s: %s is %v, %v", name, short, got, err)
			}
		}
		if _, err := mapper.RESTMapping(schema.GroupKind{Group: "absent.example.com", Kind: "Thing"}); err == nil {
			t.Errorf("%s: a kind that is not served is mapped", name)
		}
		if !client.Fresh() {
			client.Invalidate()
		}
		if _, _, err := client.ServerGroupsAndResources(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDiscoveryDocuments reads version, both OpenAPI documents and the preferred resources.
func TestDiscoveryDocuments(t *testing.T) {
	client := plane.Clientset(t).Discovery()
	version, err := client.ServerVersion()
	if err != nil || version.Major != "1" || version.Minor != "36" {
		t.Errorf("the version is %v, %v", version, err)
	}
	document, err := client.OpenAPISchema()
	if err != nil || document.Swagger != "2.0" {
		t.Errorf("OpenAPI v2: %v", err)
	}
	root := openapi3.NewRoot(client.OpenAPIV3())
	versions, err := root.GroupVersions()
	if err != nil {
		t.Fatal(err)
	}
	for _, gv := range versions {
		if _, err := root.GVSpec(gv); err != nil {
			t.Errorf("OpenAPI v3 of %s: %v", gv, err)
		}
	}
	lists, err := client.ServerPreferredNamespacedResources()
	if err != nil || len(lists) == 0 {
		t.Errorf("namespaced resources: %v", err)
	}
}

// TestScaleClient scales every kind that has the subresource by the client that autoscalers use.
func TestScaleClient(t *testing.T) {
	set, namespace := plane.Clientset(t), plane.Namespace(t)
	cached := memory.NewMemCacheClient(set.Discovery())
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(cached)
	client, err := scale.NewForConfig(plane.Config, mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(cached))
	if err != nil {
		t.Fatal(err)
	}
	makeScalable(t, set, namespace)
	for _, resource := range []schema.GroupResource{
		{Group: "apps", Resource: "deployments"}, {Group: "apps", Resource: "replicasets"}, {Group: "apps", Resource: "statefulsets"}, {Resource: "replicationcontrollers"},
	} {
		s, err := client.Scales(namespace).Get(t.Context(), resource, "web", metav1.GetOptions{})
		if err != nil {
			t.Errorf("%v: %v", resource, err)
			continue
		}
		if s.Spec.Replicas != 0 || s.Status.Selector != "app=web" {
			t.Errorf("%v: %+v", resource, s)
		}
		s.Spec.Replicas = 1
		if s, err = client.Scales(namespace).Update(t.Context(), resource, s, metav1.UpdateOptions{}); err != nil || s.Spec.Replicas != 1 {
			t.Errorf("%v: updated: %+v, %v", resource, s, err)
		}
		if _, err = client.Scales(namespace).Patch(t.Context(), schema.GroupVersionResource{Group: resource.Group, Version: "v1", Resource: resource.Resource}, "web",
			"application/merge-patch+json", []byte(`{"spec":{"replicas":0}}`), metav1.PatchOptions{}); err != nil {
			t.Errorf("%v: patched: %v", resource, err)
		}
	}
}
