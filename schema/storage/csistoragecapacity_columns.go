package storage

import (
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var capacityColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("StorageClassName", storagev1.CSIStorageCapacity{}.SwaggerDoc()["storageClassName"]),
	schema.TextColumn("Capacity", storagev1.CSIStorageCapacity{}.SwaggerDoc()["capacity"]),
}

func capacityRow(obj schema.Object, _ metav1.Time) []any {
	c := obj.(*storagev1.CSIStorageCapacity)
	capacity := "<unset>"
	if c.Capacity != nil {
		capacity = c.Capacity.String()
	}
	return []any{c.Name, c.StorageClassName, capacity}
}
