// Package podstatetest makes pods, containers and views for tests.
package podstatetest

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/podstate"
)

// Noon is now in every table.
var Noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// PodOf makes a pod of containers by name; "+x" is an init container, "~x" a sidecar.
func PodOf(policy corev1.RestartPolicy, containers ...string) *corev1.Pod {
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

// ViewOf is a pod whose sandbox "sandbox" runs, with these containers.
func ViewOf(pod *corev1.Pod, list ...*engine.ContainerStatus) podstate.View {
	all := map[string]*engine.ContainerStatus{"sandbox": {ID: "sandbox", Sandbox: true, Container: engine.SandboxName, State: engine.StateRunning, PID: 7}}
	v := podstate.View{Pod: pod, Addressed: true, NetworkReady: true, Busy: map[string]bool{}, Waits: map[string]time.Time{}, Probes: map[string]podstate.ProbeResults{}, Now: Noon}
	for _, f := range list {
		all[f.ID] = f
		v.Probes[f.ID] = podstate.ProbeResults{Started: true, Ready: true}
	}
	v.PodStatus = engine.NewPodStatus(all)
	return v
}

// Runs is a container that runs.
func Runs(name string, attempt int) *engine.ContainerStatus {
	return &engine.ContainerStatus{ID: fmt.Sprintf("%s%d", name, attempt), Container: name, SandboxID: "sandbox", Attempt: attempt, State: engine.StateRunning,
		Started: Noon.Add(-time.Minute), SpecHash: engine.SpecHash(&corev1.Container{Image: "i"})}
}

// EndedAgo is an attempt that ended ago with code.
func EndedAgo(name string, attempt, code int, ago time.Duration) *engine.ContainerStatus {
	f := Runs(name, attempt)
	f.State, f.Exit = engine.StateExited, engine.Exit{Code: code, Reason: engine.ReasonError, Finished: Noon.Add(-ago)}
	f.Backoff = []time.Duration{0, 10 * time.Second, 20 * time.Second}[min(attempt, 2)]
	return f
}

// OnlyCreated is a container that was never started.
func OnlyCreated(name string) *engine.ContainerStatus {
	f := Runs(name, 0)
	f.State, f.Started = engine.StateCreated, time.Time{}
	return f
}

// NoSandbox takes the sandbox away.
func NoSandbox(v *podstate.View) { v.Sandboxes, v.Addressed = nil, false }

// DeadSandbox ends the sandbox.
func DeadSandbox(v *podstate.View) {
	v.Sandboxes = []*engine.ContainerStatus{{ID: "sandbox", Sandbox: true, Container: engine.SandboxName, State: engine.StateExited}}
	v.Addressed = false
}
