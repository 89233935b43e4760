package allocation

import (
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

// EngineResources are what a container is given.
func EngineResources(c *corev1.Container) engine.Resources {
	return engine.Resources{
		CPURequest: requestMilli(c), CPULimit: milli(*c.Resources.Limits.Cpu()), MemoryLimit: c.Resources.Limits.Memory().Value(),
	}
}
