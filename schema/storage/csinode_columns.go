package storage

import (
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var csiNodeColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.NumberColumn("Drivers", "Drivers indicates the number of CSI drivers registered on the node"),
	schema.AgeColumn(),
}

func csiNodeRow(obj schema.Object, now metav1.Time) []any {
	n := obj.(*storagev1.CSINode)
	return []any{n.Name, int64(len(n.Spec.Drivers)), schema.Age(n.CreationTimestamp, now)}
}
