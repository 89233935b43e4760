package workload

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/apps"
	"gantry/schema/core"
	"gantry/schema/pods"
)

// burstReplicas bounds how many pods one reconciliation creates or deletes; the next one goes on.
const burstReplicas = 1000

// planPods decides which pods of a set of kind k to create or to delete. podList are those of the replica set that have not ended; related
// counts by node the pods of its deployment.
func planPods(k *schema.Kind, rs *appsv1.ReplicaSet, podList []*corev1.Pod, related map[string]int, now time.Time) []controller.Action {
	if rs.DeletionTimestamp != nil || controller.SelectorOf(rs.Spec.Selector) == nil {
		return nil
	}
	current := slices.DeleteFunc(slices.Clone(podList), func(p *corev1.Pod) bool { return p.DeletionTimestamp != nil })
	missing := int(size(rs)) - len(current)
	switch {
	case missing > 0:
		return createPods(k, rs, podList, min(missing, burstReplicas), fmt.Sprintf("%d of %d pods", len(current), size(rs)), now)
	case missing < 0:
		return deletePods(k, rs, current, related, min(-missing, burstReplicas), now)
	}
	return nil
}

func createPods(k *schema.Kind, rs *appsv1.ReplicaSet, podList []*corev1.Pod, n int, reason string, now time.Time) []controller.Action {
	seed := controller.NewNameSeed(rs)
	taken := make(map[string]bool, len(podList))
	for _, p := range podList {
		seed.Add(string(p.UID))
		taken[p.Name] = true
	}
	// A pod that has ended keeps its name and is not among pods, but it changed the status. The minute gets
	// past a foreign pod that took a name.
	seed.Add(rs.ResourceVersion, now.Truncate(time.Minute).UTC().String())
	t := &rs.Spec.Template
	owner := []metav1.OwnerReference{*metav1.NewControllerRef(rs, k.GVK())}
	plan := make([]controller.Action, n)
	for i, name := range seed.Names(rs.Name, n, taken) {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Name: name, GenerateName: rs.Name + "-", Namespace: rs.Namespace,
				Labels: t.Labels, Annotations: t.Annotations, Finalizers: t.Finalizers, OwnerReferences: owner,
			},
			Spec: t.Spec,
		}
		plan[i] = controller.Action{Do: controller.Create, Kind: core.Pod, Object: pod, Reason: reason, Bulk: true,
			Event:  &controller.Event{Kind: k, About: rs, Reason: "SuccessfulCreate", Message: "Created pod: " + name},
			Failed: &controller.Event{Kind: k, About: rs, Reason: "FailedCreate", Message: "Error creating: "}}
	}
	return plan
}

func deletePods(k *schema.Kind, rs *appsv1.ReplicaSet, current []*corev1.Pod, related map[string]int, n int, now time.Time) []controller.Action {
	ranked := rankForDeletion(current, related, now)
	plan := make([]controller.Action, n)
	for i, p := range ranked[:n] {
		plan[i] = controller.Action{Do: controller.Delete, Kind: core.Pod, Object: p, Bulk: true, Reason: fmt.Sprintf("%d of %d pods", len(current), size(rs)),
			DeleteOptions: registry.DeleteOptions{Propagation: "Background"},
			Event:         &controller.Event{Kind: k, About: rs, Reason: "SuccessfulDelete", Message: "Deleted pod: " + p.Name},
			Failed:        &controller.Event{Kind: k, About: rs, Reason: "FailedDelete", Message: "Error deleting: "}}
	}
	return plan
}

// planStatus counts the pods that were observed and notes whether the plan for them failed. after is when a pod
// becomes available by having been ready for long enough.
func (c setKind) planStatus(rs *appsv1.ReplicaSet, podList []*corev1.Pod, pod []controller.Action, failed error, now time.Time) ([]controller.Action, time.Duration) {
	s := rs.Status.DeepCopy()
	s.ObservedGeneration = rs.Generation
	s.Replicas, s.FullyLabeledReplicas, s.ReadyReplicas, s.AvailableReplicas = 0, 0, 0, 0
	terminating, after := int32(0), time.Duration(0)
	for _, p := range podList {
		if p.DeletionTimestamp != nil {
			terminating++
			continue
		}
		s.Replicas++
		if hasLabels(p, rs.Spec.Template.Labels) {
			s.FullyLabeledReplicas++
		}
		if pods.IsReady(p) {
			s.ReadyReplicas++
		}
		available, wait := controller.PodAvailable(p, rs.Spec.MinReadySeconds, now)
		if available {
			s.AvailableReplicas++
		}
		after = controller.Sooner(after, wait)
	}
	if c.kind == apps.ReplicaSet {
		s.TerminatingReplicas = &terminating // the others have no such field
	}
	s.Conditions = failureCondition(s.Conditions, pod, failed, now)
	if equality.Semantic.DeepEqual(*s, rs.Status) {
		return nil, after
	}
	updated := *rs
	updated.Status = *s
	return []controller.Action{{Do: controller.UpdateStatus, Kind: c.kind, Object: c.fromSet(&updated),
		Reason: fmt.Sprintf("%d pods, %d ready, %d available", s.Replicas, s.ReadyReplicas, s.AvailableReplicas)}}, after
}

func failureCondition(conditions []appsv1.ReplicaSetCondition, plan []controller.Action, failed error, now time.Time) []appsv1.ReplicaSetCondition {
	i := slices.IndexFunc(conditions, func(c appsv1.ReplicaSetCondition) bool { return c.Type == appsv1.ReplicaSetReplicaFailure })
	switch {
	case failed == nil && i >= 0:
		return slices.Delete(conditions, i, i+1)
	case failed == nil || i >= 0 || len(plan) == 0:
		return conditions
	}
	reason := "FailedCreate"
	if plan[0].Do == controller.Delete {
		reason = "FailedDelete"
	}
	return append(conditions, appsv1.ReplicaSetCondition{Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue,
		LastTransitionTime: metav1.NewTime(now), Reason: reason, Message: failed.Error()})
}

func hasLabels(p *corev1.Pod, want map[string]string) bool {
	for k, v := range want {
		if got, ok := p.Labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}
