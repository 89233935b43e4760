package admit

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"gantry/schema"
	"gantry/schema/storage"
	"gantry/schema/volumes"
)

// setStorageClass gives a new claim that names no class the default one, if there is one.
func setStorageClass(ctx context.Context, read Reader, q *Request) error {
	pvc := q.Object.(*corev1.PersistentVolumeClaim)
	if volumes.HasClass(pvc) {
		return nil
	}
	class, err := newest(ctx, read, storagev1.GroupName, "storageclasses", func(obj schema.Object) bool {
		c, ok := obj.(*storagev1.StorageClass)
		return ok && storage.IsDefault(c)
	})
	if err == nil && class != "" {
		pvc.Spec.StorageClassName = &class
	}
	return err
}

// newest is the name of the newest object of a kind that is a default, the first by name of several; "" where there is none.
func newest(ctx context.Context, read Reader, group, plural string, isDefault func(schema.Object) bool) (string, error) {
	if !read.Serves(group, plural) {
		return "", nil
	}
	all, err := read.List(ctx, group, plural, "")
	if err != nil {
		return "", fmt.Errorf("looking for the default of %s: %w", plural, err)
	}
	var found schema.Object
	for _, obj := range all {
		if isDefault(obj) && (found == nil || found.GetCreationTimestamp().Time.Before(obj.GetCreationTimestamp().Time)) {
			found = obj
		}
	}
	if found == nil {
		return "", nil
	}
	return found.GetName(), nil
}
