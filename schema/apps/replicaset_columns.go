package apps

import (
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
	"gantry/schema/core"
)

var replicaSetColumns = append([]metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.NumberColumn("Desired", appsv1.ReplicaSetSpec{}.SwaggerDoc()["replicas"]),
	schema.NumberColumn("Current", appsv1.ReplicaSetStatus{}.SwaggerDoc()["replicas"]),
	schema.NumberColumn("Ready", appsv1.ReplicaSetStatus{}.SwaggerDoc()["readyReplicas"]),
	schema.AgeColumn(),
}, core.TemplateColumns(appsv1.ReplicaSetSpec{}.SwaggerDoc()["selector"])...)

func replicaSetRow(obj schema.Object, now metav1.Time) []any {
	rs := obj.(*appsv1.ReplicaSet)
	return append([]any{
		rs.Name,
		value(rs.Spec.Replicas),
		int64(rs.Status.Replicas),
		int64(rs.Status.ReadyReplicas),
		schema.Age(rs.CreationTimestamp, now),
	}, core.TemplateCells(&rs.Spec.Template, rs.Spec.Selector)...)
}
