package storage

import (
	"strings"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var csiDriverColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	boolColumn("AttachRequired", storagev1.CSIDriverSpec{}.SwaggerDoc()["attachRequired"]),
	boolColumn("PodInfoOnMount", storagev1.CSIDriverSpec{}.SwaggerDoc()["podInfoOnMount"]),
	boolColumn("StorageCapacity", storagev1.CSIDriverSpec{}.SwaggerDoc()["storageCapacity"]),
	schema.TextColumn("TokenRequests", storagev1.CSIDriverSpec{}.SwaggerDoc()["tokenRequests"]),
	boolColumn("RequiresRepublish", storagev1.CSIDriverSpec{}.SwaggerDoc()["requiresRepublish"]),
	schema.TextColumn("Modes", storagev1.CSIDriverSpec{}.SwaggerDoc()["volumeLifecycleModes"]),
	schema.AgeColumn(),
}

// boolColumn is a column of true and false.
func boolColumn(name, description string) metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: name, Type: "boolean", Description: description}
}

func csiDriverRow(obj schema.Object, now metav1.Time) []any {
	d := obj.(*storagev1.CSIDriver)
	s := &d.Spec
	tokens := "<unset>"
	if s.TokenRequests != nil {
		audiences := make([]string, len(s.TokenRequests))
		for i := range s.TokenRequests {
			audiences[i] = s.TokenRequests[i].Audience
		}
		tokens = strings.Join(audiences, ",")
	}
	modes := make([]string, len(s.VolumeLifecycleModes))
	for i, m := range s.VolumeLifecycleModes {
		modes[i] = string(m)
	}
	return []any{
		d.Name, valueOr(s.AttachRequired, true), valueOr(s.PodInfoOnMount, false), valueOr(s.StorageCapacity, false), tokens,
		valueOr(s.RequiresRepublish, false), schema.OrUnset(strings.Join(modes, ",")), schema.Age(d.CreationTimestamp, now),
	}
}
