package storage

import (
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var attachmentColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	{Name: "Attacher", Type: "string", Format: "name", Description: storagev1.VolumeAttachmentSpec{}.SwaggerDoc()["attacher"]},
	schema.TextColumn("PV", storagev1.VolumeAttachmentSource{}.SwaggerDoc()["persistentVolumeName"]),
	schema.TextColumn("Node", storagev1.VolumeAttachmentSpec{}.SwaggerDoc()["nodeName"]),
	boolColumn("Attached", storagev1.VolumeAttachmentStatus{}.SwaggerDoc()["attached"]),
	schema.AgeColumn(),
}

func attachmentRow(obj schema.Object, now metav1.Time) []any {
	a := obj.(*storagev1.VolumeAttachment)
	volume := valueOr(a.Spec.Source.PersistentVolumeName, "")
	return []any{a.Name, a.Spec.Attacher, volume, a.Spec.NodeName, a.Status.Attached, schema.Age(a.CreationTimestamp, now)}
}
