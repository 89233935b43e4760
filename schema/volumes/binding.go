package volumes

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema/core"
)

// ClassOf is the name of a volume's storage class: that of the annotation counts before that of the spec.
func ClassOf(pv *corev1.PersistentVolume) string {
	if name, there := pv.Annotations[corev1.BetaStorageClassAnnotation]; there {
		return name
	}
	return pv.Spec.StorageClassName
}

// HasClass tells whether a claim names a storage class, which may be "".
func HasClass(pvc *corev1.PersistentVolumeClaim) bool {
	_, there := pvc.Annotations[corev1.BetaStorageClassAnnotation]
	return there || pvc.Spec.StorageClassName != nil
}

// WaitsForConsumer tells whether claims of a class are bound when a pod that uses them is scheduled; class may be nil.
func WaitsForConsumer(class *storagev1.StorageClass) bool {
	return class != nil && class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer
}

// ReferenceTo is a volume's reference to a claim.
func ReferenceTo(pvc *corev1.PersistentVolumeClaim) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		Kind: core.PersistentVolumeClaim.Kind, APIVersion: core.PersistentVolumeClaim.APIVersion(),
		Namespace: pvc.Namespace, Name: pvc.Name, UID: pvc.UID, ResourceVersion: pvc.ResourceVersion,
	}
}

// BoundTo tells whether a volume is bound to a claim, or reserved for one of its name.
func BoundTo(pv *corev1.PersistentVolume, pvc *corev1.PersistentVolumeClaim) bool {
	ref := pv.Spec.ClaimRef
	return ref != nil && ref.Namespace == pvc.Namespace && ref.Name == pvc.Name && (ref.UID == "" || ref.UID == pvc.UID)
}

// FullyBound tells whether the binding of a claim is complete.
func FullyBound(pvc *corev1.PersistentVolumeClaim) bool {
	_, completed := pvc.Annotations[BindCompleted]
	return pvc.Spec.VolumeName != "" && completed
}

// BindVolume returns the volume bound to a claim; changed is false where it was already, and pv itself is returned.
func BindVolume(pv *corev1.PersistentVolume, pvc *corev1.PersistentVolumeClaim) (bound *corev1.PersistentVolume, changed bool) {
	reserved := BoundTo(pv, pvc)
	_, marked := pv.Annotations[BoundByController]
	if reserved && pv.Spec.ClaimRef.UID == pvc.UID {
		return pv, false
	}
	bound = pv.DeepCopy()
	bound.Spec.ClaimRef = ReferenceTo(pvc)
	if !reserved && !marked {
		Annotate(bound, BoundByController, "yes")
	}
	return bound, true
}

// BindClaim returns the claim bound to a volume; changed is false where it was already, and pvc itself is returned.
func BindClaim(pvc *corev1.PersistentVolumeClaim, volume string) (bound *corev1.PersistentVolumeClaim, changed bool) {
	if pvc.Spec.VolumeName == volume && FullyBound(pvc) {
		return pvc, false
	}
	bound = pvc.DeepCopy()
	if bound.Spec.VolumeName != volume {
		bound.Spec.VolumeName = volume
		Annotate(bound, BoundByController, "yes")
	}
	Annotate(bound, BindCompleted, "yes")
	return bound, true
}

// Annotate sets an annotation of an object that is the caller's own.
func Annotate(obj metav1.Object, key, value string) {
	all := maps.Clone(obj.GetAnnotations())
	if all == nil {
		all = map[string]string{}
	}
	all[key] = value
	obj.SetAnnotations(all)
}

// ClaimName is the name of the claim of a pod's volume; "": the volume has none. created tells that the claim is created for the pod.
func ClaimName(pod *corev1.Pod, v *corev1.Volume) (name string, created bool) {
	switch {
	case v.PersistentVolumeClaim != nil:
		return v.PersistentVolumeClaim.ClaimName, false
	case v.Ephemeral != nil:
		return pod.Name + "-" + v.Name, true
	}
	return "", false
}

// ClaimNames are the names of all claims of a pod, each once.
func ClaimNames(pod *corev1.Pod) (names []string) {
	for i := range pod.Spec.Volumes {
		if name, _ := ClaimName(pod, &pod.Spec.Volumes[i]); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// NotForPod returns in Kubernetes' words that a claim was not created for a pod.
func NotForPod(pod *corev1.Pod, pvc *corev1.PersistentVolumeClaim) error {
	return fmt.Errorf("PVC %s/%s was not created for pod %s/%s (pod is not owner)", pvc.Namespace, pvc.Name, pod.Namespace, pod.Name)
}
