package statefulset

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/agents/controllers/controller"
	"gantry/schema"
	"gantry/schema/apps"
	"gantry/schema/core"
)

// claimRecheck is after how long a claim that must go first is looked for again. A change of a claim that has not all labels of the set's
// selector enqueues nothing.
const claimRecheck = 10 * time.Second

// retention is what becomes of claims when the set is deleted and when it is scaled down.
func retention(set *appsv1.StatefulSet) (whenDeleted, whenScaled bool) {
	p := set.Spec.PersistentVolumeClaimRetentionPolicy
	const remove = appsv1.DeletePersistentVolumeClaimRetentionPolicyType
	return p != nil && p.WhenDeleted == remove, p != nil && p.WhenScaled == remove
}

// eachClaim calls f for the claim of every template, as it is to be for an ordinal, and for what there is of it; nil: nothing.
func (p *planner) eachClaim(ordinal int, f func(want, have *corev1.PersistentVolumeClaim)) {
	for i := range p.set.Spec.VolumeClaimTemplates {
		t := &p.set.Spec.VolumeClaimTemplates[i]
		want := t.DeepCopy()
		want.Name, want.Namespace = claimName(p.set, t, ordinal), p.set.Namespace
		want.Labels = labels.Merge(want.Labels, p.set.Spec.Selector.MatchLabels)
		f(want, p.claims[want.Name])
	}
}

// createClaims plans the claims that a pod lacks. It returns false where one of them is being deleted: the pod waits for its end.
func (p *planner) createClaims(m member) (ready bool) {
	ready = true
	p.eachClaim(m.ordinal, func(want, have *corev1.PersistentVolumeClaim) {
		switch {
		case have == nil:
			if whenDeleted, _ := retention(p.set); whenDeleted {
				want.OwnerReferences = append(want.OwnerReferences, *metav1.NewControllerRef(p.set, apps.StatefulSet.GVK()))
			}
			p.Pods = append(p.Pods, controller.Action{Do: controller.Create, Kind: core.PersistentVolumeClaim, Object: want, Bulk: p.burst(),
				Reason: "pod " + m.pod.Name + " needs it",
				Event:  p.event("SuccessfulCreate", "Create Claim %s Pod %s in StatefulSet %s success", want.Name, m.pod.Name, p.set.Name),
				Failed: p.event("FailedCreate", "Create Claim %s for Pod %s in StatefulSet %s failed error: ", want.Name, m.pod.Name, p.set.Name)})
		case have.DeletionTimestamp != nil:
			if m.pod.UID == "" {
				p.warn("FailedCreate", "Create Pod %s in StatefulSet %s failed error: pvc %s is being deleted", m.pod.Name, p.set.Name, want.Name)
			}
			ready = false
			p.after = controller.Sooner(p.after, claimRecheck)
		}
	})
	return ready
}

// hasStaleClaim returns whether a claim of a pod that is to be made belongs to the pod that had its name before: it is deleted with that
// one.
func (p *planner) hasStaleClaim(m member) (stale bool) {
	if _, whenScaled := retention(p.set); !whenScaled {
		return false
	}
	p.eachClaim(m.ordinal, func(_, have *corev1.PersistentVolumeClaim) {
		stale = stale || have != nil && slices.ContainsFunc(have.OwnerReferences, func(r metav1.OwnerReference) bool {
			return refersTo(r, core.Pod, m.pod) && r.UID != m.pod.UID
		})
	})
	if stale {
		p.after = controller.Sooner(p.after, claimRecheck)
	}
	return stale
}

// ownClaims plans the owners of a pod's claims, by which the garbage controller deletes them with the set or with the pod.
func (p *planner) ownClaims(m member) {
	p.eachClaim(m.ordinal, func(_, have *corev1.PersistentVolumeClaim) {
		if have == nil || stale(have, apps.StatefulSet, p.set) || stale(have, core.Pod, m.pod) {
			return // of an earlier set or pod of this name
		}
		refs, ignored := p.wantedOwners(m, have)
		same := equality.Semantic.DeepEqual(refs, have.OwnerReferences)
		if ignored && (!same || m.pod.Status.Phase != corev1.PodRunning) {
			p.warn("ConflictingController", "PersistentVolumeClaim %s has a conflicting OwnerReference that acts as a manging controller, the retention policy is ignored for this claim", have.Name)
		}
		if same {
			return
		}
		c := have.DeepCopy()
		c.OwnerReferences = refs
		p.Pods = append(p.Pods, controller.Action{Do: controller.Update, Kind: core.PersistentVolumeClaim, Object: c, Bulk: p.burst(),
			Reason: "its owners follow the retention policy",
			Failed: p.event("FailedUpdate", "Update Pod %s in StatefulSet %s failed error: could not update claim %s for delete policy ownerRefs: ", m.pod.Name, p.set.Name, c.Name)})
	})
}

// wantedOwners are a claim's owners by the retention policy: the set, when claims are deleted with it; the pod instead, when claims are
// deleted with it and it is being scaled away. Another controller of a claim stays its only one: the policy is ignored.
func (p *planner) wantedOwners(m member, have *corev1.PersistentVolumeClaim) (refs []metav1.OwnerReference, ignored bool) {
	whenDeleted, whenScaled := retention(p.set)
	own := func(r metav1.OwnerReference) bool {
		return refersTo(r, apps.StatefulSet, p.set) || refersTo(r, core.Pod, m.pod)
	}
	foreign := slices.ContainsFunc(have.OwnerReferences, func(r metav1.OwnerReference) bool { return !own(r) && r.Controller != nil && *r.Controller })
	refs = slices.DeleteFunc(slices.Clone(have.OwnerReferences), own)
	switch scaledAway := !inRange(p.set, m.ordinal); {
	case foreign:
		return refs, whenDeleted || whenScaled
	case whenScaled && scaledAway && m.pod.UID != "":
		refs = append(refs, *metav1.NewControllerRef(m.pod, core.Pod.GVK()))
	case whenDeleted && !(whenScaled && scaledAway):
		refs = append(refs, *metav1.NewControllerRef(p.set, apps.StatefulSet.GVK()))
	}
	return refs, false
}

// refersTo returns whether a reference names an object, whatever its uid.
func refersTo(r metav1.OwnerReference, k *schema.Kind, obj metav1.Object) bool {
	return r.APIVersion == k.APIVersion() && r.Kind == k.Kind && r.Name == obj.GetName()
}

// stale returns whether a claim's owner is another object with the name of obj.
func stale(claim *corev1.PersistentVolumeClaim, k *schema.Kind, obj metav1.Object) bool {
	return slices.ContainsFunc(claim.OwnerReferences, func(r metav1.OwnerReference) bool { return refersTo(r, k, obj) && r.UID != obj.GetUID() })
}

func (p *planner) event(reason, format string, args ...any) *controller.Event {
	return &controller.Event{Kind: apps.StatefulSet, About: p.set, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// warn records a warning about something that is not done.
func (p *planner) warn(reason, format string, args ...any) {
	ev := p.event(reason, format, args...)
	ev.Warning = true
	p.Events = append(p.Events, ev)
}
