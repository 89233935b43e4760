package statefulset

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/utils/ptr"

	"gantry/agents/controllers/controller"
	"gantry/schema/apps"
	"gantry/schema/pods"
)

// planStatus plans the status that follows from the pods as they were observed, where it differs. current and update are names of
// revisions.
func (p *planner) planStatus(current, update string) {
	s := p.set.Status.DeepCopy()
	s.ObservedGeneration = p.set.Generation
	s.CurrentRevision, s.UpdateRevision = current, update
	s.CollisionCount = ptr.To(ptr.Deref(s.CollisionCount, 0))
	s.Replicas, s.ReadyReplicas, s.AvailableReplicas, s.CurrentReplicas, s.UpdatedReplicas = 0, 0, 0, -p.replaced, 0
	for _, m := range p.members {
		s.Replicas++
		if m.pod.Status.Phase == corev1.PodRunning && pods.IsReady(m.pod) {
			s.ReadyReplicas++
			available, wait := controller.PodAvailable(m.pod, p.set.Spec.MinReadySeconds, p.now)
			if available {
				s.AvailableReplicas++
			}
			p.after = controller.Sooner(p.after, wait)
		}
		if m.pod.DeletionTimestamp != nil {
			continue
		}
		if revisionOf(m.pod) == current {
			s.CurrentReplicas++
		}
		if revisionOf(m.pod) == update {
			s.UpdatedReplicas++
		}
	}
	n := int32(replicas(p.set))
	if p.set.Spec.UpdateStrategy.Type == appsv1.RollingUpdateStatefulSetStrategyType && s.UpdatedReplicas == n && s.ReadyReplicas == n && s.Replicas == n {
		s.CurrentReplicas, s.CurrentRevision = s.UpdatedReplicas, s.UpdateRevision // the update is complete
	}
	if equality.Semantic.DeepEqual(*s, p.set.Status) {
		return
	}
	c := p.set.DeepCopy()
	c.Status = *s
	p.Status = []controller.Action{{Do: controller.UpdateStatus, Kind: apps.StatefulSet, Object: c,
		Reason: fmt.Sprintf("%d of %d pods ready, %d available, %d updated", s.ReadyReplicas, n, s.AvailableReplicas, s.UpdatedReplicas)}}
}
