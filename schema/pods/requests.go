package pods

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/component-helpers/resource"
)

// SpecRequests returns what a pod's spec requests of its node: the sum of main containers and sidecars or the most that the init phase
// needs, whichever is more; pod-level resources in place of it for the resources they name; and the overhead. The status is not read: it
// is what a kubelet that decides by its own allocation compares. Upstream: k8s.io/component-helpers/resource.PodRequests.
func SpecRequests(pod *corev1.Pod) corev1.ResourceList {
	return resource.PodRequests(pod, resource.PodResourcesOptions{})
}

// Requests is SpecRequests for a pod that may be being resized: each container counts with the most of what its spec requests, what its
// kubelet allocated and what it has. Upstream: k8s.io/component-helpers/resource.PodRequests with UseStatusResources, as kube-scheduler
// calls it.
func Requests(pod *corev1.Pod) corev1.ResourceList {
	return resource.PodRequests(pod, resource.PodResourcesOptions{UseStatusResources: true})
}

// RequestsWithDefaults is Requests with defaults for containers that request nothing of a resource. Upstream:
// k8s.io/component-helpers/resource.PodRequests with NonMissingContainerRequests, as kube-scheduler scores nodes.
func RequestsWithDefaults(pod *corev1.Pod, defaults corev1.ResourceList) corev1.ResourceList {
	return resource.PodRequests(pod, resource.PodResourcesOptions{UseStatusResources: true, NonMissingContainerRequests: defaults})
}

// IsBeingResized returns whether Requests may differ from SpecRequests: a container's status states requests or an allocation other
// than the spec's.
func IsBeingResized(pod *corev1.Pod) bool {
	return differsFromStatus(pod.Spec.InitContainers, pod.Status.InitContainerStatuses) ||
		differsFromStatus(pod.Spec.Containers, pod.Status.ContainerStatuses)
}

func differsFromStatus(containers []corev1.Container, statuses []corev1.ContainerStatus) bool {
	for i := range statuses {
		s := &statuses[i]
		if s.Resources == nil || i >= len(containers) || containers[i].Name != s.Name {
			continue
		}
		spec := containers[i].Resources.Requests
		if !equality.Semantic.DeepEqual(s.Resources.Requests, spec) ||
			s.AllocatedResources != nil && !equality.Semantic.DeepEqual(s.AllocatedResources, spec) {
			return true
		}
	}
	return false
}
