package storage

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/schema/core"
	"gantry/schema/volumes"
)

// bindingPlan is what is to be done for a claim or a volume.
type bindingPlan struct {
	actions []controller.Action
	// events are recorded although nothing may be written.
	events []*controller.Event
	// syncClaim tells that the claim of the volume is to be reconciled.
	syncClaim bool
}

// claimEvent is an Event about a claim.
func claimEvent(pvc *corev1.PersistentVolumeClaim, warning bool, reason, message string) *controller.Event {
	return &controller.Event{Kind: core.PersistentVolumeClaim, About: pvc, Warning: warning, Reason: reason, Message: message}
}

// volumeEvent is a warning about a volume.
func volumeEvent(pv *corev1.PersistentVolume, reason, message string) *controller.Event {
	return &controller.Event{Kind: core.PersistentVolume, About: pv, Warning: true, Reason: reason, Message: message}
}

func (p *bindingPlan) say(ev *controller.Event) { p.events = append(p.events, ev) }

func (p *bindingPlan) do(a ...controller.Action) { p.actions = append(p.actions, a...) }

// bind plans the binding of a claim and a volume: the volume first, so that a claim never names a volume that is given to another.
func (p *bindingPlan) bind(pvc *corev1.PersistentVolumeClaim, pv *corev1.PersistentVolume, reason string) {
	if bound, changed := volumes.BindVolume(pv, pvc); changed {
		p.do(controller.Action{Do: controller.Update, Kind: core.PersistentVolume, Object: bound, Reason: reason})
		pv = bound
	}
	pv = p.setVolumePhase(pv, corev1.VolumeBound, reason)
	p.bindClaim(pvc, pv, reason)
}

// bindClaim plans the claim's side of a binding.
func (p *bindingPlan) bindClaim(pvc *corev1.PersistentVolumeClaim, pv *corev1.PersistentVolume, reason string) {
	if bound, changed := volumes.BindClaim(pvc, pv.Name); changed {
		p.do(controller.Action{Do: controller.Update, Kind: core.PersistentVolumeClaim, Object: bound, Reason: reason})
		pvc = bound
	}
	status := boundStatus(pvc, pv)
	if !equality.Semantic.DeepEqual(status, pvc.Status) {
		p.setClaimStatus(pvc, status, reason, nil)
	}
}

// boundStatus is the status of a claim that is bound to a volume. The capacity is taken over when the claim becomes bound; after that it is
// that of its file system.
func boundStatus(pvc *corev1.PersistentVolumeClaim, pv *corev1.PersistentVolume) corev1.PersistentVolumeClaimStatus {
	s := *pvc.Status.DeepCopy()
	s.AccessModes = pv.Spec.AccessModes
	if s.Phase != corev1.ClaimBound {
		s.Capacity = pv.Spec.Capacity
		if s.Phase == corev1.ClaimPending {
			s.CurrentVolumeAttributesClassName = pv.Spec.VolumeAttributesClassName
		}
		s.Phase = corev1.ClaimBound
	}
	return s
}

func (p *bindingPlan) setClaimStatus(pvc *corev1.PersistentVolumeClaim, status corev1.PersistentVolumeClaimStatus, reason string, ev *controller.Event) {
	changed := pvc.DeepCopy()
	changed.Status = status
	p.do(controller.Action{Do: controller.UpdateStatus, Kind: core.PersistentVolumeClaim, Object: changed, Reason: reason, Event: ev})
}

// unbound plans the status of a claim without a volume. ev is recorded where the phase changes.
func (p *bindingPlan) unbound(pvc *corev1.PersistentVolumeClaim, phase corev1.PersistentVolumeClaimPhase, reason string, ev *controller.Event) {
	s := *pvc.Status.DeepCopy()
	s.Phase, s.AccessModes, s.Capacity, s.CurrentVolumeAttributesClassName = phase, nil, nil, nil
	if pvc.Status.Phase == phase {
		ev = nil
	}
	if !equality.Semantic.DeepEqual(s, pvc.Status) {
		p.setClaimStatus(pvc, s, reason, ev)
	}
}

// setVolumePhase plans the phase of a volume and returns the volume with it.
func (p *bindingPlan) setVolumePhase(pv *corev1.PersistentVolume, phase corev1.PersistentVolumePhase, reason string) *corev1.PersistentVolume {
	if pv.Status.Phase == phase {
		return pv
	}
	changed := pv.DeepCopy()
	changed.Status.Phase, changed.Status.Message = phase, ""
	p.do(controller.Action{Do: controller.UpdateStatus, Kind: core.PersistentVolume, Object: changed, Reason: reason})
	return changed
}

// failVolume plans the phase Failed with its reason.
func (p *bindingPlan) failVolume(pv *corev1.PersistentVolume, reason, message string) {
	if pv.Status.Phase == corev1.VolumeFailed {
		return
	}
	changed := pv.DeepCopy()
	changed.Status.Phase, changed.Status.Message = corev1.VolumeFailed, message
	p.do(controller.Action{Do: controller.UpdateStatus, Kind: core.PersistentVolume, Object: changed, Reason: message, Event: volumeEvent(pv, reason, message)})
}

func annotated(obj metav1.Object, key string) bool {
	_, there := obj.GetAnnotations()[key]
	return there
}
