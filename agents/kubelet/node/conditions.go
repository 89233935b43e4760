package node

import (
	"errors"
	"os"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// errNetworkNotReady is worded as Kubernetes words a node whose network is not there yet.
var errNetworkNotReady = errors.New("container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message: the node has no podCIDR yet")

// conditionReasons are the events' reasons of a condition that becomes a status.
var conditionReasons = map[corev1.NodeConditionType]map[corev1.ConditionStatus]string{
	corev1.NodeReady:          {corev1.ConditionTrue: "NodeReady", corev1.ConditionFalse: "NodeNotReady"},
	corev1.NodeMemoryPressure: {corev1.ConditionTrue: "NodeHasInsufficientMemory", corev1.ConditionFalse: "NodeHasSufficientMemory"},
	corev1.NodeDiskPressure:   {corev1.ConditionTrue: "NodeHasDiskPressure", corev1.ConditionFalse: "NodeHasNoDiskPressure"},
	corev1.NodePIDPressure:    {corev1.ConditionTrue: "NodeHasInsufficientPID", corev1.ConditionFalse: "NodeHasSufficientPID"},
}

// conditions are the conditions that kubelets set, without times.
func conditions(r readings) []corev1.NodeCondition {
	is := func(t corev1.NodeConditionType, yes bool, yesReason, yesText, noReason, noText string) corev1.NodeCondition {
		if yes {
			return corev1.NodeCondition{Type: t, Status: corev1.ConditionTrue, Reason: yesReason, Message: yesText}
		}
		return corev1.NodeCondition{Type: t, Status: corev1.ConditionFalse, Reason: noReason, Message: noText}
	}
	fault := ""
	if r.fault != nil {
		fault = r.fault.Error()
	}
	return []corev1.NodeCondition{
		is(corev1.NodeMemoryPressure, r.memory > 0 && r.memory < memoryReserve,
			"KubeletHasInsufficientMemory", "kubelet has insufficient memory available",
			"KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
		is(corev1.NodeDiskPressure, diskShort(r),
			"KubeletHasDiskPressure", "kubelet has disk pressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
		is(corev1.NodePIDPressure, r.pids >= 0 && r.pids < pidReserve,
			"KubeletHasInsufficientPID", "kubelet has insufficient PID available",
			"KubeletHasSufficientPID", "kubelet has sufficient PID available"),
		is(corev1.NodeReady, r.fault == nil, "KubeletReady", "kubelet is posting ready status", "KubeletNotReady", fault),
	}
}

func diskShort(r readings) bool {
	if !r.diskKnown || r.disk.Blocks == 0 {
		return false
	}
	inodes := r.disk.Files > 0 && r.disk.Ffree*100 < r.disk.Files*inodeReserve
	return r.disk.Bavail*100 < r.disk.Blocks*diskReserve || inodes
}

// availableMemory is /proc/meminfo's, in bytes; 0: not known.
//
//	MemAvailable:   23512344 kB
func availableMemory() int64 {
	text, _ := os.ReadFile("/proc/meminfo")
	_, rest, _ := strings.Cut(string(text), "MemAvailable:")
	f := strings.Fields(rest)
	if len(f) == 0 {
		return 0
	}
	kib, _ := strconv.ParseInt(f[0], 10, 64)
	return kib << 10
}

// freePIDs is how many more processes the kernel takes, -1: not known.
//
//	0.20 0.18 0.12 1/403 12345
func freePIDs() int64 {
	limit, err := strconv.ParseInt(line("/proc/sys/kernel/pid_max"), 10, 64)
	f := strings.Fields(line("/proc/loadavg"))
	if err != nil || len(f) < 4 {
		return -1
	}
	_, total, _ := strings.Cut(f[3], "/")
	used, err := strconv.ParseInt(total, 10, 64)
	if err != nil {
		return -1
	}
	return limit - used
}

// line is a small file's text without the blanks around it; "" where it cannot be read.
func line(file string) string {
	text, _ := os.ReadFile(file)
	return strings.TrimSpace(string(text))
}
