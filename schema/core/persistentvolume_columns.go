package core

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var persistentVolumeColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("Capacity", corev1.PersistentVolumeSpec{}.SwaggerDoc()["capacity"]),
	schema.TextColumn("Access Modes", corev1.PersistentVolumeSpec{}.SwaggerDoc()["accessModes"]),
	schema.TextColumn("Reclaim Policy", corev1.PersistentVolumeSpec{}.SwaggerDoc()["persistentVolumeReclaimPolicy"]),
	schema.TextColumn("Status", corev1.PersistentVolumeStatus{}.SwaggerDoc()["phase"]),
	schema.TextColumn("Claim", corev1.PersistentVolumeSpec{}.SwaggerDoc()["claimRef"]),
	schema.TextColumn("StorageClass", "StorageClass of the pv"),
	schema.TextColumn("VolumeAttributesClass", "VolumeAttributesClass of the pv"),
	schema.TextColumn("Reason", corev1.PersistentVolumeStatus{}.SwaggerDoc()["reason"]),
	schema.AgeColumn(),
	schema.WideColumn("VolumeMode", corev1.PersistentVolumeSpec{}.SwaggerDoc()["volumeMode"]),
}

func persistentVolumeRow(obj schema.Object, now metav1.Time) []any {
	pv := obj.(*corev1.PersistentVolume)
	capacity, claim := pv.Spec.Capacity[corev1.ResourceStorage], ""
	if ref := pv.Spec.ClaimRef; ref != nil {
		claim = ref.Namespace + "/" + ref.Name
	}
	class, annotated := pv.Annotations[corev1.BetaStorageClassAnnotation]
	if !annotated {
		class = pv.Spec.StorageClassName
	}
	return []any{
		pv.Name, capacity.String(), accessModes(pv.Spec.AccessModes), string(pv.Spec.PersistentVolumeReclaimPolicy),
		volumePhase(pv, string(pv.Status.Phase)), claim, class, orNotSet(pv.Spec.VolumeAttributesClassName),
		pv.Status.Reason, schema.Age(pv.CreationTimestamp, now), orNotSet(pv.Spec.VolumeMode),
	}
}
