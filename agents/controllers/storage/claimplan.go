package storage

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"gantry/agents/controllers/controller"
	"gantry/schema/core"
	"gantry/schema/volumes"
)

// claimState is what a plan for a claim is made of.
type claimState struct {
	claim        *corev1.PersistentVolumeClaim
	class        *storagev1.StorageClass    // that the claim names; nil: none, or there is none of that name
	defaultClass *storagev1.StorageClass    // for a claim that names none
	volume       *corev1.PersistentVolume   // that the claim names; nil: none
	volumes      []*corev1.PersistentVolume // all, for a claim that names none
	node         *corev1.Node               // that the scheduler has chosen; nil: none
	waiting      []string                   // pods without a node that use the claim
}

// planClaim binds a claim, or has a volume made for it.
func planClaim(o claimState) (p bindingPlan) {
	switch {
	case annotated(o.claim, volumes.BindCompleted):
		p.keepBound(o)
	case o.claim.Spec.VolumeName != "":
		p.bindNamed(o)
	default:
		p.findVolume(o)
	}
	return p
}

// keepBound plans for a claim that was bound once.
func (p *bindingPlan) keepBound(o claimState) {
	pvc, pv := o.claim, o.volume
	lost := func(reason, message string) {
		p.unbound(pvc, corev1.ClaimLost, message, claimEvent(pvc, true, reason, message))
	}
	switch {
	case pvc.Status.Phase == corev1.ClaimLost && pv == nil:
	case pvc.Spec.VolumeName == "":
		lost("ClaimLost", "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!")
	case pv == nil:
		lost("ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
	case pv.Spec.ClaimRef != nil && pv.Spec.ClaimRef.UID != pvc.UID && !volumes.BoundTo(pv, pvc):
		lost("ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly")
	default:
		p.bind(pvc, pv, "the claim is bound to it")
		if len(p.actions) == 0 {
			p.expand(o)
		}
	}
}

// bindNamed plans for a claim that names a volume and is not bound.
func (p *bindingPlan) bindNamed(o claimState) {
	pvc, pv := o.claim, o.volume
	switch {
	case pv == nil:
	case volumes.BoundTo(pv, pvc):
		p.bind(pvc, pv, "they name each other")
		return
	case pv.Spec.ClaimRef != nil:
		p.say(claimEvent(pvc, true, "FailedBinding", fmt.Sprintf("volume %q already bound to a different claim.", pv.Name)))
	default:
		err := volumes.Satisfies(pv, pvc)
		if err == nil {
			p.bind(pvc, pv, "the claim names it")
			return
		}
		p.say(claimEvent(pvc, true, "VolumeMismatch", fmt.Sprintf("Cannot bind to requested volume %q: %s", pv.Name, err)))
	}
	p.unbound(pvc, corev1.ClaimPending, "it has no volume", nil)
}

// findVolume plans for a claim that may have any volume.
func (p *bindingPlan) findVolume(o claimState) {
	pvc := o.claim
	waits := volumes.WaitsForConsumer(o.class)
	pv, err := volumes.BestFor(pvc, o.volumes, volumes.Search{ReservedOnly: waits})
	switch {
	case err != nil:
		p.say(claimEvent(pvc, true, "FailedBinding", err.Error()))
	case pv != nil:
		p.bind(pvc, pv, "it is the smallest volume that the claim may have")
		return
	case !volumes.HasClass(pvc) && o.defaultClass != nil:
		changed := pvc.DeepCopy()
		changed.Spec.StorageClassName = &o.defaultClass.Name
		p.do(controller.Action{Do: controller.Update, Kind: core.PersistentVolumeClaim, Object: changed, Reason: "it names no class, and there is a default one"})
		return
	case waits && !annotated(pvc, volumes.SelectedNode):
		p.say(waitEvent(pvc, o.waiting))
	case core.StorageClassOf(pvc) != "":
		p.provision(o)
		return
	default:
		p.say(claimEvent(pvc, false, "FailedBinding", "no persistent volumes available for this claim and no storage class is set"))
	}
	p.unbound(pvc, corev1.ClaimPending, "it has no volume", nil)
}

func waitEvent(pvc *corev1.PersistentVolumeClaim, pods []string) *controller.Event {
	reason, message := "WaitForPodScheduled", ""
	switch len(pods) {
	case 0:
		reason, message = "WaitForFirstConsumer", "waiting for first consumer to be created before binding"
	case 1:
		message = fmt.Sprintf("waiting for pod %s to be scheduled", pods[0])
	default:
		message = fmt.Sprintf("waiting for pods %s to be scheduled", strings.Join(pods, ","))
	}
	return claimEvent(pvc, false, reason, message)
}
