package apps

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
	"gantry/schema/core"
)

var statefulSetColumns = append([]metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("Ready", "Number of the pod with ready state"),
	schema.AgeColumn(),
}, core.ContainerColumns()...)

func statefulSetRow(obj schema.Object, now metav1.Time) []any {
	s := obj.(*appsv1.StatefulSet)
	return append([]any{
		s.Name,
		fmt.Sprintf("%d/%d", s.Status.ReadyReplicas, value(s.Spec.Replicas)),
		schema.Age(s.CreationTimestamp, now),
	}, core.ContainerCells(&s.Spec.Template)...)
}
