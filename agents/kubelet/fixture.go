package kubelet

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/kubelet/engine"
)

// noon is now in every table.
var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// podOf makes a pod of containers by name; "+x" is an init container, "~x" a sidecar.
func podOf(policy corev1.RestartPolicy, containers ...string) *corev1.Pod {
	always := corev1.ContainerRestartPolicyAlways
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: types.UID("u1")}}
	p.Spec.RestartPolicy = policy
	for _, c := range containers {
		switch c[0] {
		case '+':
			p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{Name: c[1:], Image: "i"})
		case '~':
			p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{Name: c[1:], Image: "i", RestartPolicy: &always})
		default:
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: c, Image: "i"})
		}
	}
	return p
}

// viewOf is a pod whose sandbox "sandbox" runs, with these containers.
func viewOf(pod *corev1.Pod, list ...*engine.ContainerStatus) view {
	all := map[string]*engine.ContainerStatus{"sandbox": {ID: "sandbox", Sandbox: true, Container: engine.SandboxName, State: engine.StateRunning, PID: 7}}
	v := view{pod: pod, addressed: true, networkReady: true, busy: map[string]bool{}, waits: map[string]time.Time{}, probes: map[string]probeResults{}, now: noon}
	for _, f := range list {
		all[f.ID] = f
		v.probes[f.ID] = probeResults{started: true, ready: true}
	}
	v.PodStatus = engine.NewPodStatus(all)
	return v
}

// runs is a container that runs.
func runs(name string, attempt int) *engine.ContainerStatus {
	return &engine.ContainerStatus{ID: fmt.Sprintf("%s%d", name, attempt), Container: name, SandboxID: "sandbox", Attempt: attempt, State: engine.StateRunning,
		Started: noon.Add(-time.Minute), SpecHash: engine.SpecHash(&corev1.Container{Image: "i"})}
}

// endedAgo is an attempt that ended ago with code.
func endedAgo(name string, attempt, code int, ago time.Duration) *engine.ContainerStatus {
	f := runs(name, attempt)
	f.State, f.Exit = engine.StateExited, engine.Exit{Code: code, Reason: engine.ReasonError, Finished: noon.Add(-ago)}
	f.Backoff = []time.Duration{0, 10 * time.Second, 20 * time.Second}[min(attempt, 2)]
	return f
}

// onlyCreated is a container that was never started.
func onlyCreated(name string) *engine.ContainerStatus {
	f := runs(name, 0)
	f.State, f.Started = engine.StateCreated, time.Time{}
	return f
}

// noSandbox takes the sandbox away.
func noSandbox(v *view) { v.Sandboxes, v.addressed = nil, false }

// deadSandbox ends the sandbox.
func deadSandbox(v *view) {
	v.Sandboxes = []*engine.ContainerStatus{{ID: "sandbox", Sandbox: true, Container: engine.SandboxName, State: engine.StateExited}}
	v.addressed = false
}
