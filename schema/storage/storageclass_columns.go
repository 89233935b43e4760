package storage

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var storageClassColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("Provisioner", storagev1.StorageClass{}.SwaggerDoc()["provisioner"]),
	schema.TextColumn("ReclaimPolicy", storagev1.StorageClass{}.SwaggerDoc()["reclaimPolicy"]),
	schema.TextColumn("VolumeBindingMode", storagev1.StorageClass{}.SwaggerDoc()["volumeBindingMode"]),
	schema.TextColumn("AllowVolumeExpansion", storagev1.StorageClass{}.SwaggerDoc()["allowVolumeExpansion"]), // its cells are no strings
	schema.AgeColumn(),
}

func storageClassRow(obj schema.Object, now metav1.Time) []any {
	c := obj.(*storagev1.StorageClass)
	name := c.Name
	if IsDefault(c) {
		name += " (default)"
	}
	return []any{
		name, c.Provisioner, string(valueOr(c.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete)),
		string(valueOr(c.VolumeBindingMode, storagev1.VolumeBindingImmediate)), valueOr(c.AllowVolumeExpansion, false), schema.Age(c.CreationTimestamp, now),
	}
}

func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
