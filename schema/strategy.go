package schema

import (
	"maps"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// The preparation of objects without a Go type is one for all kinds: metadata.generation counts changes of everything but metadata
// and status, and status is written by its subresource alone, where there is one.

// PrepareUnstructured gives k, whose stored version has no Go type, its PrepareCreate and PrepareUpdate. It is called when the rows
// of k are complete.
func (k *Kind) PrepareUnstructured() {
	status := k.Subresource("status") != nil
	k.PrepareCreate = Preparation(func(u *unstructured.Unstructured) {
		if status {
			delete(u.Object, "status")
		}
		u.SetGeneration(1)
	})
	k.PrepareUpdate = UpdatePreparation(func(u, old *unstructured.Unstructured) {
		if status {
			keepMember(u, old, "status")
		}
		u.SetGeneration(old.GetGeneration())
		if !sameButMetadata(u, old) {
			u.SetGeneration(old.GetGeneration() + 1)
		}
	})
}

// UnstructuredStatus is the row of the status subresource of objects without a Go type.
func UnstructuredStatus(validate func(u, old *unstructured.Unstructured) field.ErrorList) Subresource {
	return Status(func(u, old *unstructured.Unstructured) {
		managed := u.GetManagedFields()
		next := maps.Clone(old.Object)
		next["metadata"] = maps.Clone(metadataOf(old))
		status, there := u.Object["status"]
		if u.Object = next; there {
			next["status"] = status
		} else {
			delete(next, "status")
		}
		u.SetManagedFields(managed)
	}, validate).Resetting("metadata")
}

func metadataOf(u *unstructured.Unstructured) map[string]any {
	m, _ := u.Object["metadata"].(map[string]any)
	return m
}

// keepMember makes a member of u what it is in old.
func keepMember(u, old *unstructured.Unstructured, name string) {
	if value, there := old.Object[name]; there {
		u.Object[name] = value
	} else {
		delete(u.Object, name)
	}
}

// AppliesNothing tells whether obj, without a Go type, is what an apply to old made that changed nothing but who manages what. Kubernetes keeps
// such an object as it is: it gets no defaults, which would make it another one where the version is not the stored one.
func AppliesNothing(obj, old Object) bool {
	a, ok := obj.(*unstructured.Unstructured)
	b, both := old.(*unstructured.Unstructured)
	if !ok || !both || !sameButMetadata(a, b) {
		return false
	}
	meta, was := maps.Clone(metadataOf(a)), maps.Clone(metadataOf(b))
	for _, m := range []map[string]any{meta, was} {
		delete(m, "managedFields")
		delete(m, "resourceVersion")
	}
	return equality.Semantic.DeepEqual(meta, was)
}

// sameButMetadata tells whether two objects have the same members except metadata.
func sameButMetadata(a, b *unstructured.Unstructured) bool {
	withoutMetadata := func(u *unstructured.Unstructured) map[string]any {
		m := maps.Clone(u.Object)
		delete(m, "metadata")
		return m
	}
	return equality.Semantic.DeepEqual(withoutMetadata(a), withoutMetadata(b))
}
