package core

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var serviceAccountColumns = []metav1.TableColumnDefinition{schema.NameColumn(), schema.AgeColumn()}

func serviceAccountRow(obj schema.Object, now metav1.Time) []any {
	return []any{obj.GetName(), schema.Age(obj.GetCreationTimestamp(), now)}
}
