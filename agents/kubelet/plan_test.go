package kubelet

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/podstate"
	"gantry/agents/kubelet/podstate/podstatetest"
)

var (
	noon        = podstatetest.Noon
	podOf       = podstatetest.PodOf
	viewOf      = podstatetest.ViewOf
	runs        = podstatetest.Runs
	endedAgo    = podstatetest.EndedAgo
	onlyCreated = podstatetest.OnlyCreated
	noSandbox   = podstatetest.NoSandbox
	deadSandbox = podstatetest.DeadSandbox
)

// debugged adds the ephemeral container d to a pod.
func debugged(p *corev1.Pod) *corev1.Pod {
	p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "d", Image: "i"}}}
	return p
}

func TestPlan(t *testing.T) {
	never, always, onFailure := corev1.RestartPolicyNever, corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure
	deleted := func(p *corev1.Pod) *corev1.Pod {
		at := metav1.NewTime(noon.Add(30 * time.Second))
		p.DeletionTimestamp = &at
		return p
	}
	for _, tc := range []struct {
		name  string
		in    podstate.View
		then  func(*podstate.View)
		want  []string
		after time.Duration
	}{
		{name: "a new pod gets a sandbox", in: viewOf(podOf(always, "a")), then: noSandbox, want: []string{"sandbox POD 0", "start a 0 early"}},
		{name: "its apps start beside it", in: viewOf(podOf(always, "a", "b")), then: noSandbox, want: []string{"sandbox POD 0", "start a 0 early", "start b 0 early"}},
		{name: "or its first init container alone", in: viewOf(podOf(always, "+i", "+j", "a")), then: noSandbox, want: []string{"sandbox POD 0", "start i 0 early"}},
		{name: "or its first sidecar", in: viewOf(podOf(always, "~s", "a")), then: noSandbox, want: []string{"sandbox POD 0", "start s 0 early"}},
		{name: "not while it waits", in: viewOf(podOf(always, "a")), then: func(v *podstate.View) { noSandbox(v); v.Waits["a"] = noon.Add(time.Second) }, want: []string{"sandbox POD 0"}, after: time.Second},
		{name: "nor when the API knows one", in: viewOf(podOf(always, "a")), then: func(v *podstate.View) {
			noSandbox(v)
			v.Pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "a", ContainerID: "docker://x"}}
		}, want: []string{"sandbox POD 0"}},
		{name: "nor when the engine has one", in: viewOf(podOf(always, "a"), onlyCreated("a")), then: noSandbox, want: []string{"sandbox POD 0"}},
		{name: "a container that is seen before its sandbox stays", in: viewOf(podOf(always, "a"), runs("a", 0)), then: func(v *podstate.View) { noSandbox(v); v.Busy[engine.SandboxName] = true }},
		{name: "without a podCIDR it waits", in: viewOf(podOf(always, "a")), then: func(v *podstate.View) { noSandbox(v); v.NetworkReady = false }, after: networkRetry},
		{name: "a sandbox without address is completed", in: viewOf(podOf(always, "a")), then: func(v *podstate.View) { v.Addressed = false }, want: []string{"sandbox POD 0"}},
		{name: "apps start together", in: viewOf(podOf(always, "a", "b")), want: []string{"start a 0", "start b 0"}},
		{name: "what is busy is left alone", in: viewOf(podOf(always, "a", "b")), then: func(v *podstate.View) { v.Busy["a"] = true }, want: []string{"start b 0"}},
		{name: "a container that was only made is the same attempt", in: viewOf(podOf(always, "a"), onlyCreated("a")), want: []string{"start a 0"}},
		{name: "an ephemeral container is started", in: viewOf(debugged(podOf(always, "a")), runs("a", 0)), want: []string{"start d 0"}},
		{name: "before what init containers hold back", in: viewOf(debugged(podOf(always, "+i", "a")), runs("i", 0)), want: []string{"start d 0"}},
		{name: "not before the sandbox", in: viewOf(debugged(podOf(always, "a"))), then: noSandbox, want: []string{"sandbox POD 0", "start a 0 early"}},
		{name: "and never again", in: viewOf(debugged(podOf(always, "a")), runs("a", 0), endedAgo("d", 0, 1, time.Hour))},
		{name: "nor when the engine has lost it", in: viewOf(debugged(podOf(always, "a")), runs("a", 0)), then: func(v *podstate.View) {
			v.Pod.Status.EphemeralContainerStatuses = []corev1.ContainerStatus{{Name: "d", ContainerID: "docker://x"}}
		}},
		{name: "it ends with the pod's own", in: viewOf(debugged(podOf(never, "a")), runs("d", 0), endedAgo("a", 0, 0, 0)), want: []string{"stop d d0"}},
		{name: "all run", in: viewOf(podOf(always, "a"), runs("a", 0))},
		{name: "the first restart is at once", in: viewOf(podOf(always, "a"), endedAgo("a", 0, 1, 0)), want: []string{"start a 1 10s"}},
		{name: "the second waits", in: viewOf(podOf(always, "a"), endedAgo("a", 1, 1, 4*time.Second)), after: 6 * time.Second},
		{name: "and then comes", in: viewOf(podOf(always, "a"), endedAgo("a", 1, 1, 10*time.Second)), want: []string{"start a 2 20s"}},
		{name: "success is restarted too", in: viewOf(podOf(always, "a"), endedAgo("a", 0, 0, 0)), want: []string{"start a 1 10s"}},
		{name: "OnFailure leaves success", in: viewOf(podOf(onFailure, "a", "b"), endedAgo("a", 0, 0, 0), runs("b", 0))},
		{name: "OnFailure restarts failure", in: viewOf(podOf(onFailure, "a"), endedAgo("a", 0, 2, 0)), want: []string{"start a 1 10s"}},
		{name: "Never ends the pod", in: viewOf(podOf(never, "a"), endedAgo("a", 0, 2, 0)), want: []string{"release POD 0"}},
		{name: "an ended pod is left", in: viewOf(podOf(never, "a"), endedAgo("a", 0, 2, 0)), then: func(v *podstate.View) { v.Released = true }},
		{name: "init containers go first, one by one", in: viewOf(podOf(always, "+i", "+j", "a")), want: []string{"start i 0"}},
		{name: "the next init container", in: viewOf(podOf(always, "+i", "+j", "a"), endedAgo("i", 0, 0, 0)), want: []string{"start j 0"}},
		{name: "a failed init container is repeated", in: viewOf(podOf(always, "+i", "a"), endedAgo("i", 0, 1, 0)), want: []string{"start i 1 10s"}},
		{name: "or ends a pod that never restarts", in: viewOf(podOf(never, "+i", "a"), endedAgo("i", 0, 1, 0)), want: []string{"release POD 0"}},
		{name: "a sidecar that runs lets the apps start", in: viewOf(podOf(always, "~s", "a"), runs("s", 0)), want: []string{"start a 0"}},
		{name: "one that is not started does not", in: viewOf(podOf(always, "~s", "a"), runs("s", 0)), then: func(v *podstate.View) { v.Probes["s0"] = podstate.ProbeResults{} }},
		{name: "nor one whose start is not over", in: viewOf(podOf(always, "~s", "a"), runs("s", 0)), then: func(v *podstate.View) { v.Busy["s"] = true }},
		{name: "a sidecar is restarted under running apps", in: viewOf(podOf(never, "~s", "a"), endedAgo("s", 0, 0, 0), runs("a", 0)), want: []string{"start s 1 10s"}},
		{name: "when the apps have ended the sidecar is stopped", in: viewOf(podOf(never, "~s", "a"), runs("s", 0), endedAgo("a", 0, 0, 0)), want: []string{"stop s s0"}},
		{name: "a removed init container does not run again", in: viewOf(podOf(always, "+i", "a"), runs("a", 0))},
		{name: "deletion stops the apps, then the sidecars in reverse", in: viewOf(deleted(podOf(always, "~s", "~t", "a")), runs("s", 0), runs("t", 0), runs("a", 0)), want: []string{"stop a a0"}},
		{name: "the last sidecar", in: viewOf(deleted(podOf(always, "~s", "~t", "a")), runs("s", 0), runs("t", 0)), want: []string{"stop t t0"}},
		{name: "then the sandbox", in: viewOf(deleted(podOf(always, "a")), endedAgo("a", 0, 0, 0)), want: []string{"release POD 0"}},
		{name: "not while a job goes on", in: viewOf(deleted(podOf(always, "a")), endedAgo("a", 0, 0, 0)), then: func(v *podstate.View) { v.Busy["a"] = true }},
		{name: "the pod stays until its status is written", in: viewOf(deleted(podOf(always, "a"))), then: func(v *podstate.View) { v.Released = true }},
		{name: "then it goes", in: viewOf(deleted(podOf(always, "a"))), then: func(v *podstate.View) { v.Released, v.Settled = true, true }, want: []string{"delete /delete 0"}},
		{name: "a gone pod's containers are removed", in: viewOf(podOf(always, "a"), endedAgo("a", 0, 0, 0)), then: func(v *podstate.View) { v.Gone, v.Released = true, true; v.Sandboxes = nil }, want: []string{"remove a a0"}},
		{name: "and it is forgotten", in: viewOf(podOf(always, "a")), then: func(v *podstate.View) { v.Gone, v.Released = true, true; v.Sandboxes = nil }, want: []string{"forget POD 0"}},
		{name: "a pod past its deadline stops", in: viewOf(podOf(always, "a"), runs("a", 0)), then: func(v *podstate.View) { v.Failure = &podstate.Failure{Reason: "DeadlineExceeded"} }, want: []string{"stop a a0"}},
		{name: "a pod that waits for resources does nothing", in: viewOf(podOf(always, "a")), then: func(v *podstate.View) { noSandbox(v); v.WaitsForResources = true }},
		{name: "unless it is deleted", in: viewOf(deleted(podOf(always, "a"))), then: func(v *podstate.View) { noSandbox(v); v.WaitsForResources = true }, want: []string{"release POD 0"}},
		{name: "a failed liveness probe restarts", in: viewOf(podOf(always, "a"), runs("a", 0)), then: func(v *podstate.View) { v.Probes["a0"] = podstate.ProbeResults{Started: true, Unhealthy: "liveness"} }, want: []string{"stop a a0"}},
		{name: "a new image restarts", in: viewOf(podOf(always, "a"), runs("a", 0)), then: func(v *podstate.View) { v.Pod.Spec.Containers[0].Image = "j" }, want: []string{"stop a a0"}},
		{name: "a hash of another version does not", in: viewOf(podOf(always, "a"), &engine.ContainerStatus{ID: "a0", Container: "a", SandboxID: "sandbox", State: engine.StateRunning, SpecHash: "v9:x"})},
		{name: "a dead sandbox takes its containers along", in: viewOf(podOf(always, "a"), runs("a", 0)), then: deadSandbox, want: []string{"stop a a0"}},
		{name: "and is created again", in: viewOf(podOf(always, "a"), endedAgo("a", 0, 137, 0)), then: deadSandbox, want: []string{"sandbox POD 1"}},
		{name: "not for a pod that has ended", in: viewOf(podOf(never, "a"), endedAgo("a", 0, 0, 0)), then: deadSandbox, want: []string{"release POD 0"}},
		{name: "old attempts are removed, the last dead one stays", in: viewOf(podOf(always, "a"), runs("a", 2), endedAgo("a", 1, 1, time.Hour), endedAgo("a", 0, 1, time.Hour)), want: []string{"remove a/old a0"}},
		{name: "a container the API knows and the engine lost counts", in: viewOf(podOf(always, "a")), then: func(v *podstate.View) {
			v.Pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "a", ContainerID: "docker://x", RestartCount: 4}}
		}, want: []string{"start a 5"}},
		{name: "and ends a pod that never restarts", in: viewOf(podOf(never, "a")), then: func(v *podstate.View) {
			v.Pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "a", ContainerID: "docker://x"}}
		}, want: []string{"release POD 0"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.then != nil {
				tc.then(&tc.in)
			}
			actions, after := plan(tc.in)
			var got []string
			for _, a := range actions {
				text := fmt.Sprintf("%s %s %d", a.do, a.key, a.attempt)
				if a.id != "" {
					text = fmt.Sprintf("%s %s %s", a.do, a.key, a.id)
				}
				if a.early {
					text += " early"
				}
				if a.backoff > 0 {
					text += " " + a.backoff.String()
				}
				got = append(got, text)
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("actions (-want +got):\n%s", d)
			}
			if after != tc.after {
				t.Errorf("after %s, want %s", after, tc.after)
			}
		})
	}
}
