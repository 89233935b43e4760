package env

import (
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// ResourceValue is a resourceFieldRef's value: rounded up to the divisor. A limit that is not set is the node's.
func ResourceValue(pod *corev1.Pod, c *corev1.Container, ref *corev1.ResourceFieldSelector, allocatable corev1.ResourceList) (string, error) {
	if ref.ContainerName != "" && ref.ContainerName != c.Name {
		all := slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers)
		i := slices.IndexFunc(all, func(c corev1.Container) bool { return c.Name == ref.ContainerName })
		if i < 0 {
			return "", fmt.Errorf("container %v not found", ref.ContainerName)
		}
		c = &all[i]
	}
	var q resource.Quantity
	limit := func(name corev1.ResourceName) resource.Quantity {
		if q, ok := c.Resources.Limits[name]; ok {
			return q
		}
		return allocatable[name]
	}
	switch ref.Resource {
	case "limits.cpu":
		q = limit(corev1.ResourceCPU)
	case "limits.memory":
		q = limit(corev1.ResourceMemory)
	case "limits.ephemeral-storage":
		q = limit(corev1.ResourceEphemeralStorage)
	case "requests.cpu":
		q = c.Resources.Requests[corev1.ResourceCPU]
	case "requests.memory":
		q = c.Resources.Requests[corev1.ResourceMemory]
	case "requests.ephemeral-storage":
		q = c.Resources.Requests[corev1.ResourceEphemeralStorage]
	default:
		return "", fmt.Errorf("unsupported container resource: %v", ref.Resource)
	}
	divisor := ref.Divisor
	if divisor.IsZero() {
		divisor = resource.MustParse("1")
	}
	if ref.Resource == "limits.cpu" || ref.Resource == "requests.cpu" {
		d := max(divisor.MilliValue(), 1)
		return strconv.FormatInt((q.MilliValue()+d-1)/d, 10), nil
	}
	d := max(divisor.Value(), 1)
	return strconv.FormatInt((q.Value()+d-1)/d, 10), nil
}
