package openapi

import (
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
)

const gvkExtension = "x-kubernetes-group-version-kind"

func gvkObject(gvk kschema.GroupVersionKind) object {
	return object{"group": gvk.Group, "version": gvk.Version, "kind": gvk.Kind}
}

// kindsOf are what the types are bodies of. DeleteOptions and WatchEvent are of all versions, which are "<group>/<version>", or "v1".
func kindsOf(resources []Resource, versions []string) map[reflect.Type][]any {
	all := map[reflect.Type][]any{}
	add := func(t reflect.Type, gvk kschema.GroupVersionKind) {
		one := gvkObject(gvk)
		if !slices.ContainsFunc(all[t], func(have any) bool { return reflect.DeepEqual(have, one) }) {
			all[t] = append(all[t], one)
		}
	}
	for _, r := range resources {
		gvk := r.Version.GVK()
		if !r.Version.IsUnstructured() {
			add(deref(r.Version.Type()), gvk)
		}
		if r.Version.NewList != nil && !r.Version.IsUnstructured() {
			gvk.Kind += "List"
			add(deref(reflect.TypeOf(r.Version.NewList())), gvk)
		}
		for _, s := range r.Subresources {
			if s.Body != nil && s.Options == nil {
				add(deref(s.Body.Type()), s.Body.GVK())
			}
		}
	}
	for _, t := range []reflect.Type{
		reflect.TypeFor[metav1.Status](), reflect.TypeFor[metav1.APIVersions](), reflect.TypeFor[metav1.APIGroupList](),
		reflect.TypeFor[metav1.APIGroup](), reflect.TypeFor[metav1.APIResourceList](),
	} {
		add(t, kschema.GroupVersionKind{Version: "v1", Kind: t.Name()})
	}
	for _, v := range versions {
		gv, _ := kschema.ParseGroupVersion(v)
		add(reflect.TypeFor[metav1.DeleteOptions](), gv.WithKind("DeleteOptions"))
		add(reflect.TypeFor[metav1.WatchEvent](), gv.WithKind("WatchEvent"))
	}
	return all
}

// registered are the versions that kube-apiserver knows, served or not: those of DeleteOptions and WatchEvent in the document of version 2.
var registered = strings.Fields(`
v1 admission.k8s.io/v1 admission.k8s.io/v1beta1 admissionregistration.k8s.io/v1 admissionregistration.k8s.io/v1alpha1
admissionregistration.k8s.io/v1beta1 apiextensions.k8s.io/v1 apiextensions.k8s.io/v1beta1 apiregistration.k8s.io/v1
apiregistration.k8s.io/v1beta1 apps/v1 apps/v1beta1 apps/v1beta2 authentication.k8s.io/v1 authentication.k8s.io/v1alpha1
authentication.k8s.io/v1beta1 authorization.k8s.io/v1 authorization.k8s.io/v1beta1 autoscaling/v1 autoscaling/v2 batch/v1
batch/v1beta1 certificates.k8s.io/v1 certificates.k8s.io/v1alpha1 certificates.k8s.io/v1beta1 coordination.k8s.io/v1
coordination.k8s.io/v1alpha2 coordination.k8s.io/v1beta1 discovery.k8s.io/v1 discovery.k8s.io/v1beta1 events.k8s.io/v1
events.k8s.io/v1beta1 extensions/v1beta1 flowcontrol.apiserver.k8s.io/v1 flowcontrol.apiserver.k8s.io/v1beta1
flowcontrol.apiserver.k8s.io/v1beta2 flowcontrol.apiserver.k8s.io/v1beta3 imagepolicy.k8s.io/v1alpha1
internal.apiserver.k8s.io/v1alpha1 networking.k8s.io/v1 networking.k8s.io/v1beta1 node.k8s.io/v1 node.k8s.io/v1alpha1
node.k8s.io/v1beta1 policy/v1 policy/v1beta1 rbac.authorization.k8s.io/v1 rbac.authorization.k8s.io/v1alpha1
rbac.authorization.k8s.io/v1beta1 resource.k8s.io/v1 resource.k8s.io/v1alpha3 resource.k8s.io/v1beta1 resource.k8s.io/v1beta2
scheduling.k8s.io/v1 scheduling.k8s.io/v1alpha2 scheduling.k8s.io/v1beta1 storage.k8s.io/v1 storage.k8s.io/v1alpha1
storage.k8s.io/v1beta1 storagemigration.k8s.io/v1beta1`)

// versionsAt are those of the version 3 document of a path: "api/v1", "apis/apps/v1".
func versionsAt(path string) []string {
	group, ok := strings.CutPrefix(path, "apis/")
	if !ok {
		return []string{"v1"}
	}
	return []string{"v1", group}
}
