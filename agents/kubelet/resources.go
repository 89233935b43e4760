package kubelet

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"gantry/agents/kubelet/engine"
)

// maxMilli is more cpu than any machine has, in thousandths, and little enough to calculate with.
const maxMilli = int64(1) << 40

// milli is q in thousandths, at most maxMilli: MilliValue of a large amount overflows.
func milli(q resource.Quantity) int64 {
	if q.CmpInt64(maxMilli/1000) >= 0 {
		return maxMilli
	}
	return q.MilliValue()
}

// requestMilli is what a container asks of cpu; a limit without a request is one.
func requestMilli(c *corev1.Container) int64 {
	if q, ok := c.Resources.Requests[corev1.ResourceCPU]; ok {
		return milli(q)
	}
	return milli(*c.Resources.Limits.Cpu())
}

// engineResources are what a container is given.
func engineResources(c *corev1.Container) engine.Resources {
	return engine.Resources{
		CPURequest: requestMilli(c), CPULimit: milli(*c.Resources.Limits.Cpu()), MemoryLimit: c.Resources.Limits.Memory().Value(),
	}
}

// resourceValue is a resourceFieldRef's value: rounded up to the divisor. A limit that is not set is the node's.
func resourceValue(pod *corev1.Pod, c *corev1.Container, ref *corev1.ResourceFieldSelector, allocatable corev1.ResourceList) (string, error) {
	if ref.ContainerName != "" && ref.ContainerName != c.Name {
		m, ok := memberNamed(pod, ref.ContainerName)
		if !ok {
			return "", fmt.Errorf("container %v not found", ref.ContainerName)
		}
		c = m.Container
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
