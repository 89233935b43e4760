package podstate

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
	"gantry/schema/pods"
)

// Role is what part a container plays in its pod.
type Role int

const (
	RoleInit    Role = iota // runs to its end before what follows
	RoleSidecar             // an init container with restartPolicy Always: runs beside what follows
	RoleApp
	RoleEphemeral // added to a running pod; runs once
)

// Member is a container of a pod with its role.
type Member struct {
	*corev1.Container
	Role Role
}

// Members are the pod's containers in the order they start, without ephemeral ones.
func Members(pod *corev1.Pod) []Member {
	var all []Member
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		if pods.IsSidecar(c) {
			all = append(all, Member{c, RoleSidecar})
		} else {
			all = append(all, Member{c, RoleInit})
		}
	}
	for i := range pod.Spec.Containers {
		all = append(all, Member{&pod.Spec.Containers[i], RoleApp})
	}
	return all
}

// Ephemeral are the containers that were added to the pod. Nothing of it waits for them or ends with them.
func Ephemeral(pod *corev1.Pod) []Member {
	var all []Member
	for i := range pod.Spec.EphemeralContainers {
		all = append(all, Member{(*corev1.Container)(&pod.Spec.EphemeralContainers[i].EphemeralContainerCommon), RoleEphemeral})
	}
	return all
}

// AllMembers are Members, then Ephemeral.
func AllMembers(pod *corev1.Pod) []Member { return append(Members(pod), Ephemeral(pod)...) }

// TargetOf is the container whose processes an ephemeral one sees; "": its own alone.
func TargetOf(pod *corev1.Pod, name string) string {
	for i := range pod.Spec.EphemeralContainers {
		if c := &pod.Spec.EphemeralContainers[i]; c.Name == name {
			return c.TargetContainerName
		}
	}
	return ""
}

// MemberNamed finds a container by its name; ok is false where there is none.
func MemberNamed(pod *corev1.Pod, name string) (m Member, ok bool) {
	for _, m := range AllMembers(pod) {
		if m.Name == name {
			return m, true
		}
	}
	return Member{}, false
}

// Restarts tells whether a container of that role is started again after it ended with code.
func Restarts(policy corev1.RestartPolicy, r Role, code int) bool {
	switch {
	case r == RoleEphemeral:
		return false
	case r == RoleSidecar:
		return true
	case r == RoleInit:
		return code != 0 && policy != corev1.RestartPolicyNever
	case policy == corev1.RestartPolicyNever:
		return false
	case policy == corev1.RestartPolicyOnFailure:
		return code != 0
	}
	return true
}

// RefOf is how the engine names a pod.
func RefOf(pod *corev1.Pod) engine.PodRef {
	return engine.PodRef{Namespace: pod.Namespace, Name: pod.Name, UID: string(pod.UID)}
}

// Leaves tells whether the API says that the pod is to end, or has.
func Leaves(pod *corev1.Pod) bool { return pod.DeletionTimestamp != nil || pods.IsTerminal(pod) }

// SpecGrace is how many seconds the pod's containers get to end, by its spec.
func SpecGrace(pod *corev1.Pod) int64 {
	if pod.Spec.TerminationGracePeriodSeconds == nil {
		return corev1.DefaultTerminationGracePeriodSeconds
	}
	return *pod.Spec.TerminationGracePeriodSeconds
}

// StopDeadline is how long the pod's containers may take to end, from now: what is left of the deletion's grace period,
// else the spec's. Never below zero.
func StopDeadline(pod *corev1.Pod, now time.Time) time.Duration {
	if pod.DeletionTimestamp != nil {
		return max(pod.DeletionTimestamp.Sub(now), 0)
	}
	return time.Duration(SpecGrace(pod)) * time.Second
}

// LongName is "name_namespace(uid)".
func LongName(pod *corev1.Pod) string {
	return fmt.Sprintf("%s_%s(%s)", pod.Name, pod.Namespace, pod.UID)
}

// StatusNamed is what the API knows of a container, nil where that is nothing.
func StatusNamed(pod *corev1.Pod, name string) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}

// QOSClass is the pod's quality of service: Guaranteed when every container's cpu and memory limits are set and equal its
// requests, BestEffort when there are no requests and limits of these, else Burstable.
func QOSClass(pod *corev1.Pod) corev1.PodQOSClass {
	guaranteed, any := true, false
	for _, m := range Members(pod) {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			request, limit := m.Resources.Requests[name], m.Resources.Limits[name]
			any = any || !request.IsZero() || !limit.IsZero()
			if limit.IsZero() || (!request.IsZero() && request.Cmp(limit) != 0) {
				guaranteed = false
			}
		}
	}
	switch {
	case !any:
		return corev1.PodQOSBestEffort
	case guaranteed:
		return corev1.PodQOSGuaranteed
	}
	return corev1.PodQOSBurstable
}
