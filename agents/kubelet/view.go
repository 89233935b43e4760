package kubelet

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"gantry/agents/kubelet/engine"
	"gantry/schema/pods"
)

// view is everything a plan is made from. Plans never change it.
type view struct {
	pod *corev1.Pod
	engine.PodStatus
	// gone: a consistent read found no such pod any more.
	gone bool
	// failure is set when the pod must end although it was not deleted: rejected, past its deadline, evicted.
	failure *failure
	// waitsForResources: other pods have to end before this one may begin.
	waitsForResources bool
	// actuated are the resources that running containers were given last; resizeRestarts holds those that were stopped to start again
	// with others. By ID.
	actuated       map[string]corev1.ResourceRequirements
	resizeRestarts map[string]bool
	// addressed: the running sandbox has its network.
	addressed bool
	// networkReady: the node can give addresses.
	networkReady bool
	// released: the sandbox, the link and the volumes are gone.
	released bool
	// settled: the API has the pod's latest status.
	settled bool
	// busy holds the keys (container names, or engine.SandboxName) that a job works on.
	busy map[string]bool
	// waits says when a container, or the sandbox, may be tried again.
	waits map[string]time.Time
	// probes holds the probes' results by container ID.
	probes map[string]probeResults
	now    time.Time
}

// probeResults are those of one running container.
type probeResults struct {
	started bool // the startup probe has succeeded, or there is none
	ready   bool // the readiness probe has succeeded, or there is none
	// unhealthy is not empty when the container must be restarted: "liveness" or "startup".
	unhealthy string
}

// ending tells whether the pod is to have no running container.
func (v view) ending() bool {
	return v.gone || v.pod.DeletionTimestamp != nil || v.failure != nil || pods.IsTerminal(v.pod) || finished(v)
}

// allStopped tells whether no container of the pod runs, nor is being started or stopped.
func (v view) allStopped() bool {
	for _, m := range members(v.pod) {
		if v.busy[m.Name] {
			return false
		}
	}
	return len(v.running()) == 0
}

// running are the containers that run, in the order of the pod's spec; unknown ones first.
func (v view) running() []*engine.ContainerStatus {
	order := map[string]int{}
	for i, m := range members(v.pod) {
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

// failure is why a pod ends by itself; it becomes its status.
type failure struct {
	reason, message string
	// rejected: the pod was not admitted, nothing of it has run.
	rejected bool
}

func rejection(reason, format string, args ...any) *failure {
	return &failure{reason: reason, message: fmt.Sprintf(format, args...), rejected: true}
}

// resizing tells whether a running container is to have other resources than those it was last given. What was given is compared,
// not what the engine holds: a kubelet that computes shares in another way leaves old containers alone.
func (v view) resizing(cs *engine.ContainerStatus, m member) bool {
	given, known := v.actuated[cs.ID]
	return known && m.role != roleInit && cs.State == engine.StateRunning && !equality.Semantic.DeepEqual(cpuAndMemory(given), cpuAndMemory(m.Resources))
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
