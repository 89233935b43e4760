package apps

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/schema"
	"gantry/schema/core"
)

var daemonSetColumns = daemonSetColumnsOf(appsv1.DaemonSetStatus{}.SwaggerDoc())

func daemonSetColumnsOf(doc map[string]string) []metav1.TableColumnDefinition {
	return append([]metav1.TableColumnDefinition{
		schema.NameColumn(),
		schema.NumberColumn("Desired", doc["desiredNumberScheduled"]),
		schema.NumberColumn("Current", doc["currentNumberScheduled"]),
		schema.NumberColumn("Ready", doc["numberReady"]),
		schema.NumberColumn("Up-to-date", doc["updatedNumberScheduled"]),
		schema.NumberColumn("Available", doc["numberAvailable"]),
		schema.TextColumn("Node Selector", corev1.PodSpec{}.SwaggerDoc()["nodeSelector"]),
		schema.AgeColumn(),
	}, core.TemplateColumns(appsv1.DaemonSetSpec{}.SwaggerDoc()["selector"])...)
}

func daemonSetRow(obj schema.Object, now metav1.Time) []any {
	ds := obj.(*appsv1.DaemonSet)
	return append([]any{
		ds.Name,
		int64(ds.Status.DesiredNumberScheduled),
		int64(ds.Status.CurrentNumberScheduled),
		int64(ds.Status.NumberReady),
		int64(ds.Status.UpdatedNumberScheduled),
		int64(ds.Status.NumberAvailable),
		labels.FormatLabels(ds.Spec.Template.Spec.NodeSelector),
		schema.Age(ds.CreationTimestamp, now),
	}, core.TemplateCells(&ds.Spec.Template, ds.Spec.Selector)...)
}
