package core

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var claimColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("Status", corev1.PersistentVolumeClaimStatus{}.SwaggerDoc()["phase"]),
	schema.TextColumn("Volume", corev1.PersistentVolumeClaimSpec{}.SwaggerDoc()["volumeName"]),
	schema.TextColumn("Capacity", corev1.PersistentVolumeClaimStatus{}.SwaggerDoc()["capacity"]),
	schema.TextColumn("Access Modes", corev1.PersistentVolumeClaimStatus{}.SwaggerDoc()["accessModes"]),
	schema.TextColumn("StorageClass", "StorageClass of the pvc"),
	schema.TextColumn("VolumeAttributesClass", "VolumeAttributesClass of the pvc"),
	schema.AgeColumn(),
	schema.WideColumn("VolumeMode", corev1.PersistentVolumeClaimSpec{}.SwaggerDoc()["volumeMode"]),
}

func claimRow(obj schema.Object, now metav1.Time) []any {
	pvc := obj.(*corev1.PersistentVolumeClaim)
	capacity, modes := "", ""
	if pvc.Spec.VolumeName != "" {
		storage := pvc.Status.Capacity[corev1.ResourceStorage]
		capacity, modes = storage.String(), accessModes(pvc.Status.AccessModes)
	}
	return []any{
		pvc.Name, volumePhase(pvc, string(pvc.Status.Phase)), pvc.Spec.VolumeName, capacity, modes,
		StorageClassOf(pvc), orNotSet(pvc.Spec.VolumeAttributesClassName), schema.Age(pvc.CreationTimestamp, now), orNotSet(pvc.Spec.VolumeMode),
	}
}

// StorageClassOf is the name of a claim's storage class: that of the annotation counts before that of the spec.
func StorageClassOf(pvc *corev1.PersistentVolumeClaim) string {
	if class, there := pvc.Annotations[corev1.BetaStorageClassAnnotation]; there {
		return class
	}
	if pvc.Spec.StorageClassName != nil {
		return *pvc.Spec.StorageClassName
	}
	return ""
}

// volumePhase is a phase, or that an object is being deleted.
func volumePhase(obj schema.Object, phase string) string {
	if obj.GetDeletionTimestamp() != nil {
		return "Terminating"
	}
	return phase
}

// accessModes are modes in short, in an order of their own: "RWO,RWX".
func accessModes(modes []corev1.PersistentVolumeAccessMode) string {
	var texts []string
	for _, m := range []struct {
		mode corev1.PersistentVolumeAccessMode
		text string
	}{
		{corev1.ReadWriteOnce, "RWO"}, {corev1.ReadOnlyMany, "ROX"}, {corev1.ReadWriteMany, "RWX"}, {corev1.ReadWriteOncePod, "RWOP"},
	} {
		if slices.Contains(modes, m.mode) {
			texts = append(texts, m.text)
		}
	}
	return strings.Join(texts, ",")
}

func orNotSet[T ~string](text *T) string {
	if text == nil {
		return "<unset>"
	}
	return string(*text)
}
