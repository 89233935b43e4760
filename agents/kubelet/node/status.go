package node

import (
	"cmp"
	"context"
	"os"
	"slices"
	"strings"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/kubelet/engine"
)

// Version is the Kubernetes version whose kubelet this one behaves as.
const Version = "v1.36.3"

// What is kept back of a node: below it the node is under pressure.
const (
	memoryReserve = 100 << 20 // bytes
	diskReserve   = 10        // percent
	inodeReserve  = 5         // percent
	pidReserve    = 1000      // processes
	maxImages     = 50
)

// readings are what a node's status is made of. Fields of an engine that is away are zero.
type readings struct {
	info      engine.Info
	images    []engine.Image
	fault     error // why pods cannot run
	memory    int64 // bytes available
	disk      syscall.Statfs_t
	diskKnown bool
	pids      int64 // free
	bootID    string
	machineID string
}

// status reads the node.
func (n *Node) status(ctx context.Context) corev1.NodeStatus {
	r := readings{fault: n.cfg.Fault(), memory: availableMemory(), pids: freePIDs(), bootID: line("/proc/sys/kernel/random/boot_id"), machineID: line("/etc/machine-id")}
	if r.fault == nil {
		r.info, r.fault = n.cfg.Engine.Info(ctx)
		r.images, _ = n.cfg.Engine.Images(ctx)
	}
	if r.fault == nil && len(n.PodCIDRs()) == 0 {
		r.fault = errNetworkNotReady
	}
	if err := os.MkdirAll(n.cfg.DataDir, 0o755); err == nil {
		r.diskKnown = syscall.Statfs(n.cfg.DataDir, &r.disk) == nil
	}
	var before corev1.NodeStatus
	if obj := n.Current(); obj != nil {
		before = obj.Status
	}
	return statusOf(n.cfg, r, before, n.goarch)
}

// statusOf is the status that readings make; what an engine that is away cannot say stays as before. The conditions'
// times are left to mergeStatus. Pure.
func statusOf(cfg Config, r readings, before corev1.NodeStatus, goarch string) corev1.NodeStatus {
	s := corev1.NodeStatus{
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: cfg.Port}},
		NodeInfo: corev1.NodeSystemInfo{
			MachineID: r.machineID, SystemUUID: r.machineID, BootID: r.bootID, KubeletVersion: Version,
			OperatingSystem: "linux", Architecture: goarch,
		},
		Conditions: conditions(r),
		Capacity:   before.Capacity, Allocatable: before.Allocatable, Images: before.Images,
	}
	for _, ip := range cfg.IPs {
		s.Addresses = append(s.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip.String()})
	}
	s.Addresses = append(s.Addresses, corev1.NodeAddress{Type: corev1.NodeHostName, Address: cfg.Name})
	if r.info.Version == "" {
		old := before.NodeInfo
		s.NodeInfo.KernelVersion, s.NodeInfo.OSImage, s.NodeInfo.ContainerRuntimeVersion = old.KernelVersion, old.OSImage, old.ContainerRuntimeVersion
		return s
	}
	s.NodeInfo.KernelVersion, s.NodeInfo.OSImage = r.info.KernelVersion, r.info.OperatingSystem
	s.NodeInfo.ContainerRuntimeVersion = engine.URI(r.info.Version)
	s.Capacity, s.Allocatable = resources(r, cfg.MaxPods)
	s.Images = biggestImages(r.images)
	return s
}

// resources are what the node has and what its pods may have of it.
func resources(r readings, maxPods int) (capacity, allocatable corev1.ResourceList) {
	capacity = corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewQuantity(int64(r.info.CPUs), resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(r.info.Memory, resource.BinarySI),
		corev1.ResourcePods:   *resource.NewQuantity(int64(maxPods), resource.DecimalSI),
	}
	allocatable = capacity.DeepCopy()
	allocatable[corev1.ResourceMemory] = *resource.NewQuantity(max(r.info.Memory-memoryReserve, 0), resource.BinarySI)
	if r.diskKnown {
		bytes := int64(r.disk.Blocks) * r.disk.Bsize
		capacity[corev1.ResourceEphemeralStorage] = *resource.NewQuantity(bytes, resource.BinarySI)
		allocatable[corev1.ResourceEphemeralStorage] = *resource.NewQuantity(bytes/100*(100-diskReserve), resource.BinarySI)
	}
	return capacity, allocatable
}

// biggestImages are the biggest images, as the scheduler wants them.
func biggestImages(all []engine.Image) []corev1.ContainerImage {
	var out []corev1.ContainerImage
	for _, i := range all {
		names := slices.DeleteFunc(slices.Concat(i.Digests, i.Tags), func(s string) bool { return strings.Contains(s, "<none>") })
		if len(names) > 0 {
			out = append(out, corev1.ContainerImage{Names: names, SizeBytes: i.Size})
		}
	}
	slices.SortFunc(out, func(a, b corev1.ContainerImage) int {
		return cmp.Or(cmp.Compare(b.SizeBytes, a.SizeBytes), slices.Compare(a.Names, b.Names))
	})
	return out[:min(len(out), maxImages)]
}

// mergeStatus is the kubelet's status over what is stored: others' conditions are kept, and a condition's transition
// time moves with its status.
func mergeStatus(ours, stored corev1.NodeStatus, now metav1.Time) corev1.NodeStatus {
	s := *stored.DeepCopy()
	s.Capacity, s.Allocatable, s.Addresses = ours.Capacity, ours.Allocatable, ours.Addresses
	s.DaemonEndpoints, s.NodeInfo, s.Images = ours.DaemonEndpoints, ours.NodeInfo, ours.Images
	for _, c := range ours.Conditions {
		c.LastHeartbeatTime, c.LastTransitionTime = now, now
		old := Condition(s.Conditions, c.Type)
		if old == nil {
			s.Conditions = append(s.Conditions, c)
			continue
		}
		if old.Status == c.Status {
			c.LastTransitionTime = old.LastTransitionTime
		}
		*old = c
	}
	return s
}

// Condition is the one of that type, nil where there is none.
func Condition(list []corev1.NodeCondition, t corev1.NodeConditionType) *corev1.NodeCondition {
	for i := range list {
		if list[i].Type == t {
			return &list[i]
		}
	}
	return nil
}
