package workload

import (
	"fmt"
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"gantry/agents/controllers/controller"
	"gantry/schema/apps"
)

// The reasons of the condition Progressing that decide something.
const (
	reasonAvailable = "NewReplicaSetAvailable"
	reasonTimedOut  = "ProgressDeadlineExceeded"
	reasonPaused    = "DeploymentPaused"
	reasonResumed   = "DeploymentResumed"
)

// hasDeadline tells that progress is watched; the largest number means never.
func hasDeadline(d *appsv1.Deployment) bool {
	s := d.Spec.ProgressDeadlineSeconds
	return s != nil && *s != 1<<31-1
}

func conditionOf(s appsv1.DeploymentStatus, t appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	for i := range s.Conditions {
		if s.Conditions[i].Type == t {
			return &s.Conditions[i]
		}
	}
	return nil
}

// setCondition replaces a condition; the same status and reason change nothing, the same status keeps the time of
// its transition.
func setCondition(s *appsv1.DeploymentStatus, t appsv1.DeploymentConditionType, status corev1.ConditionStatus, reason, message string, now time.Time) {
	c := appsv1.DeploymentCondition{Type: t, Status: status, Reason: reason, Message: message, LastUpdateTime: metav1.NewTime(now), LastTransitionTime: metav1.NewTime(now)}
	if was := conditionOf(*s, t); was != nil {
		if was.Status == status && was.Reason == reason {
			return
		}
		if was.Status == status {
			c.LastTransitionTime = was.LastTransitionTime
		}
	}
	dropCondition(s, t)
	s.Conditions = append(s.Conditions, c)
}

func dropCondition(s *appsv1.DeploymentStatus, t appsv1.DeploymentConditionType) {
	s.Conditions = slices.DeleteFunc(slices.Clone(s.Conditions), func(c appsv1.DeploymentCondition) bool { return c.Type == t })
}

// progress sets the condition Progressing, if progress is watched at all.
func (o *rollout) progress(status corev1.ConditionStatus, reason, message string) {
	if hasDeadline(o.d) {
		setCondition(&o.d.Status, appsv1.DeploymentProgressing, status, reason, message, o.now)
	}
}

// pauseCondition notes a pause and its end, so that the pause does not count against the deadline.
func (o *rollout) pauseCondition() {
	c := conditionOf(o.d.Status, appsv1.DeploymentProgressing)
	if c != nil && c.Reason == reasonTimedOut {
		return
	}
	paused := c != nil && c.Reason == reasonPaused
	switch {
	case o.d.Spec.Paused && !paused:
		o.progress(corev1.ConditionUnknown, reasonPaused, "Deployment is paused")
	case !o.d.Spec.Paused && paused:
		o.progress(corev1.ConditionUnknown, reasonResumed, "Deployment is resumed")
	}
}

// calculate is the status that follows from the replica sets as they were observed.
func (o *rollout) calculate() appsv1.DeploymentStatus {
	sets := o.all()
	s := appsv1.DeploymentStatus{
		ObservedGeneration: o.d.Generation,
		Replicas:           sum(sets, func(rs *appsv1.ReplicaSet) int32 { return rs.Status.Replicas }),
		ReadyReplicas:      sum(sets, func(rs *appsv1.ReplicaSet) int32 { return rs.Status.ReadyReplicas }),
		AvailableReplicas:  sum(sets, func(rs *appsv1.ReplicaSet) int32 { return rs.Status.AvailableReplicas }),
		CollisionCount:     o.d.Status.CollisionCount,
		Conditions:         slices.Clone(o.d.Status.Conditions),
	}
	if o.current != nil {
		s.UpdatedReplicas = o.current.Status.Replicas
	}
	terminating := sum(sets, func(rs *appsv1.ReplicaSet) int32 { return ptr.Deref(rs.Status.TerminatingReplicas, 0) })
	s.TerminatingReplicas = &terminating
	s.UnavailableReplicas = max(sum(sets, size)-s.AvailableReplicas, 0)
	_, unavailable := o.limits()
	if s.AvailableReplicas >= o.replicas()-unavailable {
		setCondition(&s, appsv1.DeploymentAvailable, corev1.ConditionTrue, "MinimumReplicasAvailable", "Deployment has minimum availability.", o.now)
	} else {
		setCondition(&s, appsv1.DeploymentAvailable, corev1.ConditionFalse, "MinimumReplicasUnavailable", "Deployment does not have minimum availability.", o.now)
	}
	return s
}

func (o *rollout) complete(s appsv1.DeploymentStatus) bool {
	n := o.replicas()
	return s.UpdatedReplicas == n && s.Replicas == n && s.AvailableReplicas == n && s.ObservedGeneration >= o.d.Generation
}

// syncStatus plans the status and the revision, if they change; progress says whether conditions of progress and failure are set.
func (o *rollout) syncStatus(progress bool) {
	s := o.calculate()
	if progress {
		o.syncProgress(&s)
		o.failure(&s)
	}
	o.d.Status = s
	if equality.Semantic.DeepEqual(s, o.seen.Status) && maps.Equal(o.d.Annotations, o.seen.Annotations) {
		return
	}
	c := o.seen.DeepCopy()
	c.Status, c.Annotations = s, o.d.Annotations
	o.plan = append(o.plan, controller.Action{Do: controller.UpdateStatus, Kind: apps.Deployment, Object: c,
		Reason: fmt.Sprintf("revision %s, %d of %d updated, %d available", o.d.Annotations[revisionAnnotation], s.UpdatedReplicas, o.replicas(), s.AvailableReplicas)})
}

// syncProgress sets the condition Progressing: the rollout is complete, progressing or has not progressed within the deadline.
func (o *rollout) syncProgress(s *appsv1.DeploymentStatus) {
	if !hasDeadline(o.d) {
		dropCondition(s, appsv1.DeploymentProgressing)
		return
	}
	c := conditionOf(*s, appsv1.DeploymentProgressing)
	if s.Replicas == s.UpdatedReplicas && c != nil && c.Reason == reasonAvailable {
		return // the rollout was complete: what happens to pods later is not its progress
	}
	what := fmt.Sprintf("Deployment %q", o.d.Name)
	if o.current != nil {
		what = fmt.Sprintf("ReplicaSet %q", o.current.Name)
	}
	switch {
	case o.complete(*s):
		setCondition(s, appsv1.DeploymentProgressing, corev1.ConditionTrue, reasonAvailable, what+" has successfully progressed.", o.now)
	case progressed(o.seen.Status, *s):
		moved := appsv1.DeploymentCondition{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "ReplicaSetUpdated",
			Message: what + " is progressing.", LastUpdateTime: metav1.NewTime(o.now), LastTransitionTime: metav1.NewTime(o.now)}
		if c != nil && c.Status == corev1.ConditionTrue {
			moved.LastTransitionTime = c.LastTransitionTime
		}
		dropCondition(s, appsv1.DeploymentProgressing) // each step restarts the deadline
		s.Conditions = append(s.Conditions, moved)
	case o.overdue(c):
		setCondition(s, appsv1.DeploymentProgressing, corev1.ConditionFalse, reasonTimedOut, what+" has timed out progressing.", o.now)
	}
}

func progressed(was, is appsv1.DeploymentStatus) bool {
	return is.UpdatedReplicas > was.UpdatedReplicas ||
		is.Replicas-is.UpdatedReplicas < was.Replicas-was.UpdatedReplicas ||
		is.ReadyReplicas > was.ReadyReplicas ||
		is.AvailableReplicas > was.AvailableReplicas
}

func (o *rollout) overdue(c *appsv1.DeploymentCondition) bool {
	switch {
	case c == nil || c.Reason == reasonAvailable:
		return false
	case c.Reason == reasonTimedOut:
		return true
	}
	return o.now.After(c.LastUpdateTime.Add(o.deadline()))
}

func (o *rollout) deadline() time.Duration {
	return time.Duration(*o.d.Spec.ProgressDeadlineSeconds) * time.Second
}

// deadlineIn is when the deadline must be checked; 0: there is none to check.
func (o *rollout) deadlineIn() time.Duration {
	c := conditionOf(o.d.Status, appsv1.DeploymentProgressing)
	if !hasDeadline(o.d) || c == nil || o.d.Spec.Paused || c.Reason == reasonAvailable || c.Reason == reasonTimedOut {
		return 0
	}
	return max(c.LastUpdateTime.Add(o.deadline()).Sub(o.now), 0) + time.Second
}

// failure copies the reason for which a replica set cannot make pods: the current one's first.
func (o *rollout) failure(s *appsv1.DeploymentStatus) {
	sets := o.all()
	slices.Reverse(sets)
	for _, rs := range sets {
		for _, c := range rs.Status.Conditions {
			if c.Type == appsv1.ReplicaSetReplicaFailure {
				setCondition(s, appsv1.DeploymentReplicaFailure, c.Status, c.Reason, c.Message, o.now)
				return
			}
		}
	}
	dropCondition(s, appsv1.DeploymentReplicaFailure)
}
