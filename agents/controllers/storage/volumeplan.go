package storage

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/controllers/controller"
	"gantry/schema/core"
	"gantry/schema/volumes"
)

// volumeState is what a plan for a volume is made of.
type volumeState struct {
	volume   *corev1.PersistentVolume
	claim    *corev1.PersistentVolumeClaim // that the volume names, of whatever uid; nil: none
	nodeGone bool                          // the node of a local volume that is being deleted does not exist
}

// planVolume sets a volume's phase, gives it up where its claim is bound elsewhere, and reclaims it where its claim is gone.
func planVolume(o volumeState) (p bindingPlan) {
	pv, pvc := o.volume, o.claim
	ref := pv.Spec.ClaimRef
	switch {
	case o.nodeGone && slices.Contains(pv.Finalizers, volumes.LocalFinalizer):
		p.do(controller.Action{Do: controller.RemoveFinalizer, Kind: core.PersistentVolume, Object: pv, Finalizer: volumes.LocalFinalizer, Reason: "its node is gone, and its directory with it"})
	case ref == nil:
		p.setVolumePhase(pv, corev1.VolumeAvailable, "no claim uses it")
	case ref.UID == "":
		p.setVolumePhase(pv, corev1.VolumeAvailable, "it is reserved for a claim that is not bound to it yet")
	case pvc == nil || pvc.UID != ref.UID:
		p.release(pv, "its claim is gone")
	case pvc.Spec.VolumeName == "" && !volumes.SameMode(pv, pvc):
		p.say(volumeEvent(pv, "VolumeMismatch", fmt.Sprintf("Cannot bind PersistentVolume to requested PersistentVolumeClaim %q due to incompatible volumeMode.", pvc.Name)))
		p.say(claimEvent(pvc, true, "VolumeMismatch", fmt.Sprintf("Cannot bind PersistentVolume %q to requested PersistentVolumeClaim due to incompatible volumeMode.", pv.Name)))
	case pvc.Spec.VolumeName == "":
		p.syncClaim = true
	case pvc.Spec.VolumeName == pv.Name:
		p.keep(pv, pvc)
	case annotated(pv, volumes.ProvisionedBy) && pv.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete:
		p.release(pv, "its claim is bound to another volume")
	default:
		p.unbind(pv)
	}
	return p
}

// keep plans for a volume that its claim names. A claim that is back (an admin has undone its deletion) has not released it.
func (p *bindingPlan) keep(pv *corev1.PersistentVolume, pvc *corev1.PersistentVolumeClaim) {
	if pvc.DeletionTimestamp == nil && annotated(pv, volumes.ReleasedByClaim) {
		kept := pv.DeepCopy()
		delete(kept.Annotations, volumes.ReleasedByClaim)
		p.do(controller.Action{Do: controller.Update, Kind: core.PersistentVolume, Object: kept, Reason: "its claim is not being deleted"})
		pv = kept
	}
	p.setVolumePhase(pv, corev1.VolumeBound, "its claim names it")
}

// unbind takes the claim from a volume. One that a user has reserved for the claim stays reserved.
func (p *bindingPlan) unbind(pv *corev1.PersistentVolume) {
	const reason = "its claim is bound to another volume"
	free := pv.DeepCopy()
	if annotated(pv, volumes.BoundByController) {
		free.Spec.ClaimRef = nil
		delete(free.Annotations, volumes.BoundByController)
	} else {
		free.Spec.ClaimRef.UID = ""
	}
	p.do(controller.Action{Do: controller.Update, Kind: core.PersistentVolume, Object: free, Reason: reason})
	p.setVolumePhase(free, corev1.VolumeAvailable, reason)
}

// release marks a volume as released and reclaims it. The phase Failed stays, so that a user sees what went wrong.
func (p *bindingPlan) release(pv *corev1.PersistentVolume, reason string) {
	if pv.Status.Phase != corev1.VolumeFailed {
		pv = p.setVolumePhase(pv, corev1.VolumeReleased, reason)
	}
	switch pv.Spec.PersistentVolumeReclaimPolicy {
	case corev1.PersistentVolumeReclaimRetain:
	case corev1.PersistentVolumeReclaimRecycle:
		p.failVolume(pv, "VolumeFailedRecycle", "No recycler plugin found for the volume!")
	case corev1.PersistentVolumeReclaimDelete:
		p.deleteVolume(pv, reason)
	default:
		p.failVolume(pv, "VolumeUnknownReclaimPolicy", "Volume has unrecognized PersistentVolumeReclaimPolicy")
	}
}

// deleteVolume deletes a local volume that its claim has released; the kubelet of its node removes the directory first. One whose claim was
// not deleted through the API is kept: a raw delete in etcd is no order to remove data. One that has another provisioner is deleted by that,
// and one that has none by nobody.
func (p *bindingPlan) deleteVolume(pv *corev1.PersistentVolume, reason string) {
	switch provisioner := pv.Annotations[volumes.ProvisionedBy]; {
	case provisioner == volumes.LocalProvisioner && pv.DeletionTimestamp != nil:
	case provisioner == volumes.LocalProvisioner && !volumes.ReleasedBy(pv):
		ref := pv.Spec.ClaimRef
		p.say(volumeEvent(pv, "VolumeKept", fmt.Sprintf("%s, and claim %s/%s (uid %s) was not deleted through the API: the volume and its data are kept. "+
			"To use the data again restore the claim; to remove the data delete the volume: kubectl delete pv %s", reason, ref.Namespace, ref.Name, ref.UID, pv.Name)))
	case provisioner == volumes.LocalProvisioner:
		p.do(controller.Action{Do: controller.Delete, Kind: core.PersistentVolume, Object: pv, Reason: reason + ", and its reclaim policy is Delete"})
	case provisioner == "" && pv.Spec.CSI == nil:
		p.failVolume(pv, "VolumeFailedDelete", "error getting deleter volume plugin for volume "+fmt.Sprintf("%q: no deletable volume plugin matched", pv.Name))
	}
}
