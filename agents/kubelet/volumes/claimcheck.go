package volumes

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/volumes"
)

// boundClaim is a claim with the volume that it is bound to.
type boundClaim struct {
	claim    *corev1.PersistentVolumeClaim
	volume   *corev1.PersistentVolume
	readOnly bool
}

// boundVolume reads the claim of the pod's volume, and the claim's volume, through the gateway. Refused are, in this order
//   - a claim that is being deleted or not bound;
//   - a claim of an ephemeral volume that was not created for the pod;
//   - a volume that is bound to another claim or to none, or is being deleted;
//   - a volume mode that is not as the pod's containers use it.
func (r Request) boundVolume(ctx context.Context) (b boundClaim, err error) {
	name, created := volumes.ClaimName(r.Pod, r.Volume)
	inClaim := func(err error) error { return fmt.Errorf("error processing PVC %s/%s: %w", r.Pod.Namespace, name, err) }
	if b.claim, err = readObject[*corev1.PersistentVolumeClaim](ctx, r.volumes.cfg.API, core.PersistentVolumeClaim, r.Pod.Namespace, name); err != nil {
		return b, inClaim(fmt.Errorf("failed to fetch PVC from API server: %w", err))
	}
	if err := checkClaim(b.claim); err != nil {
		return b, inClaim(err)
	}
	if created && !metav1.IsControlledBy(b.claim, r.Pod) {
		return b, volumes.NotForPod(r.Pod, b.claim)
	}
	if b.volume, err = readObject[*corev1.PersistentVolume](ctx, r.volumes.cfg.API, core.PersistentVolume, "", b.claim.Spec.VolumeName); err != nil {
		return b, inClaim(fmt.Errorf("failed to fetch PV %s from API server: %w", b.claim.Spec.VolumeName, err))
	}
	if err := checkBinding(b.volume, b.claim); err != nil {
		return b, inClaim(err)
	}
	b.readOnly = !created && r.Volume.PersistentVolumeClaim.ReadOnly
	return b, checkMode(r.Pod, r.Volume.Name, b.volume)
}

// readObject reads an object consistently.
func readObject[T schema.Object](ctx context.Context, api registry.API, k *schema.Kind, namespace, name string) (obj T, err error) {
	it, err := api.Get(ctx, k, namespace, name, "")
	if err != nil {
		return obj, err
	}
	obj, ok := it.Object().(T)
	if !ok {
		return obj, fmt.Errorf("%s %q cannot be read", k.Singular, name)
	}
	return obj, nil
}

func checkClaim(pvc *corev1.PersistentVolumeClaim) error {
	switch {
	case pvc.DeletionTimestamp != nil:
		return errors.New("PVC is being deleted")
	case pvc.Status.Phase != corev1.ClaimBound:
		return errors.New("PVC is not bound")
	case pvc.Spec.VolumeName == "":
		return errors.New("PVC has empty pvc.Spec.VolumeName")
	}
	return nil
}

func checkBinding(pv *corev1.PersistentVolume, pvc *corev1.PersistentVolumeClaim) error {
	ref := pv.Spec.ClaimRef
	switch {
	case ref == nil:
		return fmt.Errorf("found PV object %s but it has a nil pv.Spec.ClaimRef indicating it is not yet bound to the claim", pv.Name)
	case ref.UID != pvc.UID:
		return fmt.Errorf("found PV object %s but its pv.Spec.ClaimRef.UID %s does not point to claim.UID %s", pv.Name, ref.UID, pvc.UID)
	case pv.DeletionTimestamp != nil && volumes.LocalNodeOf(pv) != "" && !slices.Contains(pv.Finalizers, core.VolumeProtection):
		return fmt.Errorf("PV %s is being deleted", pv.Name)
	}
	return nil
}

// checkMode refuses a volume whose mode is not that of its use.
func checkMode(pod *corev1.Pod, name string, pv *corev1.PersistentVolume) error {
	mode := corev1.PersistentVolumeFilesystem
	if pv.Spec.VolumeMode != nil {
		mode = *pv.Spec.VolumeMode
	}
	mounts, devices := usesOf(pod, name)
	switch {
	case mounts && mode != corev1.PersistentVolumeFilesystem:
		return fmt.Errorf("volume %s has volumeMode %s, but is specified in volumeMounts", name, mode)
	case devices && mode != corev1.PersistentVolumeBlock:
		return fmt.Errorf("volume %s has volumeMode %s, but is specified in volumeDevices", name, mode)
	}
	return nil
}

// usesOf tells whether containers of a pod mount a volume, and whether they use it as a device.
func usesOf(pod *corev1.Pod, name string) (mounts, devices bool) {
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		mounts = mounts || slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == name })
		devices = devices || slices.ContainsFunc(c.VolumeDevices, func(d corev1.VolumeDevice) bool { return d.Name == name })
	}
	return mounts, devices
}

// isForOnePod tells whether ReadWriteOncePod is the only access mode of a volume: of several it is not known which the pod wants.
func isForOnePod(pv *corev1.PersistentVolume) bool {
	return slices.Equal(pv.Spec.AccessModes, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod})
}
