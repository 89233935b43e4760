package apps

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

// templateColumns are the wide columns of every kind with a pod template and a selector.
func templateColumns(selectorDoc string) []metav1.TableColumnDefinition {
	return []metav1.TableColumnDefinition{
		schema.WideColumn("Containers", "Names of each container in the template."),
		schema.WideColumn("Images", "Images referenced by each container in the template."),
		schema.WideColumn("Selector", selectorDoc),
	}
}

func templateCells(template *corev1.PodTemplateSpec, selector *metav1.LabelSelector) []any {
	var names, images []string
	for _, c := range template.Spec.Containers {
		names, images = append(names, c.Name), append(images, c.Image)
	}
	return []any{strings.Join(names, ","), strings.Join(images, ","), metav1.FormatLabelSelector(selector)}
}

func replicaCount(p *int32) int64 {
	if p == nil {
		return 0
	}
	return int64(*p)
}
