package podstatus

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// ownConditions are those that the kubelet writes.
var ownConditions = []corev1.PodConditionType{
	corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled,
}

// Merge is the kubelet's status with what others have written meanwhile.
func Merge(ours, theirs corev1.PodStatus) corev1.PodStatus {
	s := *ours.DeepCopy()
	s.Conditions = slices.DeleteFunc(s.Conditions, func(c corev1.PodCondition) bool { return !slices.Contains(ownConditions, c.Type) })
	for _, c := range theirs.Conditions {
		if !slices.Contains(ownConditions, c.Type) {
			s.Conditions = append(s.Conditions, c)
		}
	}
	s.NominatedNodeName, s.Resize, s.ResourceClaimStatuses = theirs.NominatedNodeName, theirs.Resize, theirs.ResourceClaimStatuses
	return s
}
