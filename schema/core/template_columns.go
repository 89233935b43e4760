package core

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

// TemplateColumns are the wide columns of every kind with a pod template and a selector.
func TemplateColumns(selectorDoc string) []metav1.TableColumnDefinition {
	return append(ContainerColumns(), schema.WideColumn("Selector", selectorDoc))
}

// ContainerColumns are the wide columns of a pod template.
func ContainerColumns() []metav1.TableColumnDefinition {
	return []metav1.TableColumnDefinition{
		schema.WideColumn("Containers", containersDoc),
		schema.WideColumn("Images", imagesDoc),
	}
}

const (
	containersDoc = "Names of each container in the template."
	imagesDoc     = "Images referenced by each container in the template."
)

// TemplateCells are the cells of TemplateColumns.
func TemplateCells(template *corev1.PodTemplateSpec, selector *metav1.LabelSelector) []any {
	return append(ContainerCells(template), metav1.FormatLabelSelector(selector))
}

// ContainerCells are the cells of ContainerColumns; the template may be nil.
func ContainerCells(template *corev1.PodTemplateSpec) []any {
	if template == nil {
		return []any{"", ""}
	}
	var names, images []string
	for _, c := range template.Spec.Containers {
		names, images = append(names, c.Name), append(images, c.Image)
	}
	return []any{strings.Join(names, ","), strings.Join(images, ",")}
}
