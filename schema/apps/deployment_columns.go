package apps

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
	"gantry/schema/core"
)

var deploymentColumns = append([]metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("Ready", "Number of the pod with ready state"),
	schema.TextColumn("Up-to-date", appsv1.DeploymentStatus{}.SwaggerDoc()["updatedReplicas"]),
	schema.TextColumn("Available", appsv1.DeploymentStatus{}.SwaggerDoc()["availableReplicas"]),
	schema.AgeColumn(),
}, core.TemplateColumns(appsv1.DeploymentSpec{}.SwaggerDoc()["selector"])...)

func deploymentRow(obj schema.Object, now metav1.Time) []any {
	d := obj.(*appsv1.Deployment)
	return append([]any{
		d.Name,
		fmt.Sprintf("%d/%d", d.Status.ReadyReplicas, value(d.Spec.Replicas)),
		int64(d.Status.UpdatedReplicas),
		int64(d.Status.AvailableReplicas),
		schema.Age(d.CreationTimestamp, now),
	}, core.TemplateCells(&d.Spec.Template, d.Spec.Selector)...)
}
