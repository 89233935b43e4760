package core

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var configMapColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("Data", corev1.ConfigMap{}.SwaggerDoc()["data"]),
	schema.AgeColumn(),
}

func configMapRow(obj schema.Object, now metav1.Time) []any {
	c := obj.(*corev1.ConfigMap)
	return []any{c.Name, int64(len(c.Data) + len(c.BinaryData)), schema.Age(c.CreationTimestamp, now)}
}
