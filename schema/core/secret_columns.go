package core

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var secretColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("Type", corev1.Secret{}.SwaggerDoc()["type"]),
	schema.TextColumn("Data", corev1.Secret{}.SwaggerDoc()["data"]),
	schema.AgeColumn(),
}

func secretRow(obj schema.Object, now metav1.Time) []any {
	s := obj.(*corev1.Secret)
	return []any{s.Name, string(s.Type), int64(len(s.Data)), schema.Age(s.CreationTimestamp, now)}
}
