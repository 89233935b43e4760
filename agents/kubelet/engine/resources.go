package engine

import (
	"context"

	"github.com/docker/docker/api/types/container"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/stats"
)

// Linux' bounds of cpu shares and quota.
const (
	minShares   = 2
	maxShares   = 262144
	cpuPeriod   = 100000 // microseconds
	minCPUQuota = 1000   // microseconds
)

// cpuShares is the weight for a request in thousandths of a cpu.
func cpuShares(milli int64) int64 {
	return min(max(milli*1024/1000, minShares), maxShares)
}

// cpuQuota is the time per period for a limit in thousandths of a cpu; 0: unlimited.
func cpuQuota(milli int64) int64 {
	if milli <= 0 {
		return 0
	}
	return max(milli*cpuPeriod/1000, minCPUQuota)
}

func dockerResources(r Resources, f features) container.Resources {
	var d container.Resources
	if f.cpuShares {
		d.CPUShares = cpuShares(r.CPURequest)
	}
	if q := cpuQuota(r.CPULimit); q > 0 && f.cpuQuota {
		d.CPUPeriod, d.CPUQuota = cpuPeriod, q
	}
	if r.MemoryLimit > 0 && f.memoryLimit {
		d.Memory = r.MemoryLimit
		if f.swapLimit {
			d.MemorySwap = r.MemoryLimit // none beyond memory
		}
	}
	return d
}

// The kernel's order of killing when memory is short; as Kubernetes sets it.
const (
	oomSandbox    = -998
	oomCritical   = -997
	oomBestEffort = 1000
)

// criticalPriority is that of system-node-critical.
const criticalPriority = 2000001000

// oomScore is a container's oom_score_adj on a node with memory bytes.
func oomScore(pod *corev1.Pod, c *corev1.Container, qos corev1.PodQOSClass, memory int64) int {
	if pod.Spec.Priority != nil && *pod.Spec.Priority >= criticalPriority {
		return oomCritical
	}
	switch qos {
	case corev1.PodQOSGuaranteed:
		return oomCritical
	case corev1.PodQOSBestEffort:
		return oomBestEffort
	}
	if memory <= 0 {
		return oomBestEffort - 1
	}
	score := 1000 - int(1000*min(c.Resources.Requests.Memory().Value(), memory)/memory)
	return min(max(score, 1000+oomCritical), oomBestEffort-1)
}

// clampOOM keeps a score within what thf features can set: without CAP_SYS_RESOURCE a start with a lower one fails.
func clampOOM(score int, f features) int {
	if !f.negativeOOM {
		return max(score, 0)
	}
	return score
}

// Resize is Engine's.
func (d *Docker) Resize(ctx context.Context, id string, r Resources) error {
	f, err := d.detected()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err = d.api.ContainerUpdate(ctx, id, container.UpdateConfig{Resources: dockerResources(r, f)})
	return classify(err)
}

// MemoryUsage is Engine's. The engine's own figure takes a round of its statistics; the control group has it in a file.
func (d *Docker) MemoryUsage(ctx context.Context, id string) (int64, error) {
	c, err := d.Container(ctx, id)
	if err != nil {
		return 0, err
	}
	return stats.MemoryUsage(stats.Container{ID: c.ID, PID: c.PID})
}
