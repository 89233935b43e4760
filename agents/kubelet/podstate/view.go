// Package podstate is what the kubelet knows of one pod: its containers with their roles, and the view that plan and status are made from.
// All of it is pure.
package podstate

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"gantry/agents/kubelet/engine"
	"gantry/schema/pods"
)

// View is everything a plan is made from. Plans never change it.
type View struct {
	Pod *corev1.Pod
	engine.PodStatus
	// Gone: a consistent read found no such pod any more.
	Gone bool
	// Failure is set when the pod must end although it was not deleted: rejected, past its deadline, evicted.
	Failure *Failure
	// WaitsForResources: other pods have to end before this one may begin.
	WaitsForResources bool
	// Actuated are the resources that running containers were given last; ResizeRestarts holds those that were stopped to start again
	// with others. By ID.
	Actuated       map[string]corev1.ResourceRequirements
	ResizeRestarts map[string]bool
	// Addressed: the running sandbox has its network.
	Addressed bool
	// NetworkReady: the node can give addresses.
	NetworkReady bool
	// Released: the sandbox, the link and the volumes are gone.
	Released bool
	// Settled: the API has the pod's latest status.
	Settled bool
	// Busy holds the keys (container names, or engine.SandboxName) that a job works on.
	Busy map[string]bool
	// Waits says when a container, or the sandbox, may be tried again.
	Waits map[string]time.Time
	// Probes holds the probes' results by container ID.
	Probes map[string]ProbeResults
	Now    time.Time
}

// ProbeResults are those of one running container.
type ProbeResults struct {
	Started bool // the startup probe has succeeded, or there is none
	Ready   bool // the readiness probe has succeeded, or there is none
	// Unhealthy is not empty when the container must be restarted: "liveness" or "startup".
	Unhealthy string
}

// Ending tells whether the pod is to have no running container.
func (v View) Ending() bool {
	return v.Gone || v.Pod.DeletionTimestamp != nil || v.Failure != nil || pods.IsTerminal(v.Pod) || finished(v)
}

// AllStopped tells whether no container of the pod runs, nor is being started or stopped.
func (v View) AllStopped() bool {
	for _, m := range AllMembers(v.Pod) {
		if v.Busy[m.Name] {
			return false
		}
	}
	return len(v.Running()) == 0
}

// Running are the containers that run, in the order of the pod's spec; unknown ones first.
func (v View) Running() []*engine.ContainerStatus {
	order := map[string]int{}
	for i, m := range AllMembers(v.Pod) {
		order[m.Name] = i + 1
	}
	var all []*engine.ContainerStatus
	for _, list := range v.Containers {
		for _, cs := range list {
			if cs.State == engine.StateRunning {
				all = append(all, cs)
			}
		}
	}
	slices.SortFunc(all, func(a, b *engine.ContainerStatus) int {
		if d := order[a.Container] - order[b.Container]; d != 0 {
			return d
		}
		return engine.NewestFirst(a, b)
	})
	return all
}

// Failure is why a pod ends by itself; it becomes its status.
type Failure struct {
	Reason, Message string
	// Rejected: the pod was not admitted, nothing of it has run.
	Rejected bool
}

// Rejection is why a pod is not admitted.
func Rejection(reason, format string, args ...any) *Failure {
	return &Failure{Reason: reason, Message: fmt.Sprintf(format, args...), Rejected: true}
}

// Resizing tells whether a running container is to have other resources than those it was last given. What was given is compared,
// not what the engine holds: a kubelet that computes shares in another way leaves old containers alone.
func (v View) Resizing(cs *engine.ContainerStatus, m Member) bool {
	given, known := v.Actuated[cs.ID]
	return known && m.Role != RoleInit && cs.State == engine.StateRunning && !equality.Semantic.DeepEqual(cpuAndMemory(given), cpuAndMemory(m.Resources))
}

// cpuAndMemory are the resources that a resize can change.
func cpuAndMemory(r corev1.ResourceRequirements) [2]corev1.ResourceList {
	only := func(l corev1.ResourceList) corev1.ResourceList {
		out := corev1.ResourceList{}
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			if q, ok := l[name]; ok {
				out[name] = q
			}
		}
		return out
	}
	return [2]corev1.ResourceList{only(r.Requests), only(r.Limits)}
}
