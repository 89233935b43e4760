package core

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var namespaceColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("Status", "The status of the namespace"),
	schema.AgeColumn(),
}

func namespaceRow(obj schema.Object, now metav1.Time) []any {
	ns := obj.(*corev1.Namespace)
	return []any{ns.Name, string(ns.Status.Phase), schema.Age(ns.CreationTimestamp, now)}
}
