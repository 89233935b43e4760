package core

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// ComponentStatus is the kind of componentstatuses, which are not stored: a gateway makes them when it is asked.
var ComponentStatus = &schema.Kind{
	Version: schema.Version{
		Group: "", Version: "v1", Kind: "ComponentStatus",
		New:                func() schema.Object { return &corev1.ComponentStatus{} },
		NewList:            func() runtime.Object { return &corev1.ComponentStatusList{} },
		DeprecationWarning: "v1 ComponentStatus is deprecated in v1.19+",
		Columns: []metav1.TableColumnDefinition{
			schema.NameColumn(),
			schema.TextColumn("Status", "Status of the component conditions"),
			schema.TextColumn("Message", "Message of the component conditions"),
			schema.TextColumn("Error", "Error of the component conditions"),
		},
		Row: componentStatusRow,
	},
	Plural: "componentstatuses", Singular: "componentstatus", ShortNames: []string{"cs"}, Categories: []string{},
	Verbs: []string{"get", "list"},
}

func componentStatusRow(obj schema.Object, _ metav1.Time) []any {
	s := obj.(*corev1.ComponentStatus)
	for _, c := range s.Conditions {
		if c.Type != corev1.ComponentHealthy {
			continue
		}
		healthy := "Unhealthy"
		if c.Status == corev1.ConditionTrue {
			healthy = "Healthy"
		}
		return []any{s.Name, healthy, c.Message, c.Error}
	}
	return []any{s.Name, "Unknown", "", ""}
}
