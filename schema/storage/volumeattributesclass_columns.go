package storage

import (
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var attributesClassColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("DriverName", storagev1.VolumeAttributesClass{}.SwaggerDoc()["driverName"]),
	schema.AgeColumn(),
}

func attributesClassRow(obj schema.Object, now metav1.Time) []any {
	c := obj.(*storagev1.VolumeAttributesClass)
	return []any{c.Name, c.DriverName, schema.Age(c.CreationTimestamp, now)}
}
