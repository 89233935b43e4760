package pods

import corev1 "k8s.io/api/core/v1"

// IsTerminal returns whether a pod's phase is Succeeded or Failed: none of its containers runs again. Upstream:
// k8s.io/kubernetes/pkg/api/v1/pod.IsPodTerminal.
func IsTerminal(pod *corev1.Pod) bool { return IsTerminalPhase(pod.Status.Phase) }

// IsTerminalPhase returns whether a phase is Succeeded or Failed. Upstream: k8s.io/kubernetes/pkg/api/v1/pod.IsPodPhaseTerminal.
func IsTerminalPhase(phase corev1.PodPhase) bool {
	return phase == corev1.PodSucceeded || phase == corev1.PodFailed
}

// IsTerminalAndDeleted returns whether a pod has ended and its deletion was requested as well. The node authorizer gives a node no access
// on behalf of such a pod. A pod that has only ended still gives access: its kubelet may have to read what the pod refers to.
func IsTerminalAndDeleted(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp != nil && IsTerminal(pod)
}

// IsMirror returns whether a pod's annotations are those of a mirror pod, by which a kubelet shows a static pod in the API. Upstream:
// k8s.io/kubernetes/pkg/kubelet/types.IsMirrorPod.
func IsMirror(annotations map[string]string) bool {
	_, ok := annotations[corev1.MirrorPodAnnotationKey]
	return ok
}
