package podstatus

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/podstate"
	"gantry/agents/kubelet/podstate/podstatetest"
)

var (
	noon      = podstatetest.Noon
	podOf     = podstatetest.PodOf
	viewOf    = podstatetest.ViewOf
	runs      = podstatetest.Runs
	endedAgo  = podstatetest.EndedAgo
	noSandbox = podstatetest.NoSandbox
)

// brief is a status in one line: phase, then each container as name=state, then the conditions that are false.
func brief(s corev1.PodStatus) string {
	parts := []string{string(s.Phase)}
	if s.Reason != "" {
		parts[0] += "/" + s.Reason
	}
	for _, c := range append(append([]corev1.ContainerStatus(nil), s.InitContainerStatuses...), s.ContainerStatuses...) {
		parts = append(parts, c.Name+"="+briefState(c))
	}
	for _, c := range s.Conditions {
		if c.Status != corev1.ConditionTrue {
			parts = append(parts, "!"+string(c.Type)+"("+c.Reason+")")
		}
	}
	return strings.Join(parts, " ")
}

func briefState(c corev1.ContainerStatus) string {
	text := ""
	switch {
	case c.State.Running != nil:
		text = "running"
	case c.State.Terminated != nil:
		text = fmt.Sprintf("%s:%d", c.State.Terminated.Reason, c.State.Terminated.ExitCode)
	case c.State.Waiting != nil:
		text = c.State.Waiting.Reason
	}
	if t := c.LastTerminationState.Terminated; t != nil {
		text += fmt.Sprintf("<%s:%d", t.Reason, t.ExitCode)
	}
	if c.Ready {
		text += ",ready"
	}
	return text
}

func TestPodStatus(t *testing.T) {
	never, always, onFailure := corev1.RestartPolicyNever, corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure
	notReady := " !Ready(ContainersNotReady) !ContainersReady(ContainersNotReady)"
	for _, tc := range []struct {
		name string
		in   podstate.View
		then func(*podstate.View, *Facts)
		want string
	}{
		{name: "without a sandbox", in: viewOf(podOf(always, "a")), then: func(v *podstate.View, _ *Facts) { noSandbox(v) },
			want: "Pending a=ContainerCreating !PodReadyToStartContainers()" + notReady},
		{name: "with one", in: viewOf(podOf(always, "a")), want: "Pending a=ContainerCreating" + notReady},
		{name: "running", in: viewOf(podOf(always, "a"), runs("a", 0)), want: "Running a=running,ready"},
		{name: "running, its hook is not over", in: viewOf(podOf(always, "a"), runs("a", 0)), then: func(_ *podstate.View, x *Facts) { x.Starting["a"] = true },
			want: "Pending a=ContainerCreating" + notReady},
		{name: "running, not ready", in: viewOf(podOf(always, "a"), runs("a", 0)), then: func(v *podstate.View, _ *Facts) { v.Probes["a0"] = podstate.ProbeResults{Started: true} },
			want: "Running a=running" + notReady},
		{name: "one runs, one is to come", in: viewOf(podOf(always, "a", "b"), runs("a", 0)), want: "Pending a=running,ready b=ContainerCreating" + notReady},
		{name: "no image", in: viewOf(podOf(always, "a")), then: func(_ *podstate.View, x *Facts) { x.Problems["a"] = Problem{Reason: "ErrImagePull"} },
			want: "Pending a=ErrImagePull" + notReady},
		{name: "crashing", in: viewOf(podOf(always, "a"), endedAgo("a", 1, 2, time.Second)), want: "Running a=CrashLoopBackOff<Error:2" + notReady},
		{name: "about to restart", in: viewOf(podOf(always, "a"), endedAgo("a", 0, 2, 0)), want: "Running a=Error:2" + notReady},
		{name: "restarted", in: viewOf(podOf(always, "a"), runs("a", 1), endedAgo("a", 0, 2, 0)), want: "Running a=running<Error:2,ready"},
		{name: "succeeded", in: viewOf(podOf(never, "a"), endedAgo("a", 0, 0, 0)), want: "Succeeded a=Error:0 !Ready(PodCompleted) !ContainersReady(PodCompleted)"},
		{name: "failed", in: viewOf(podOf(never, "a", "b"), endedAgo("a", 0, 0, 0), endedAgo("b", 0, 1, 0)), want: "Failed a=Error:0 b=Error:1 !Ready(PodFailed) !ContainersReady(PodFailed)"},
		{name: "OnFailure goes on", in: viewOf(podOf(onFailure, "a", "b"), endedAgo("a", 0, 0, 0), endedAgo("b", 1, 1, 0)), want: "Running a=Error:0 b=CrashLoopBackOff<Error:1" + notReady},
		{name: "OnFailure is done", in: viewOf(podOf(onFailure, "a"), endedAgo("a", 0, 0, 0)), want: "Succeeded a=Error:0 !Ready(PodCompleted) !ContainersReady(PodCompleted)"},
		{name: "init", in: viewOf(podOf(always, "+i", "a"), runs("i", 0)), want: "Pending i=running,ready a=PodInitializing !Initialized(ContainersNotInitialized)" + notReady},
		{name: "init done", in: viewOf(podOf(always, "+i", "a"), endedAgo("i", 0, 0, 0)), want: "Pending i=Error:0,ready a=PodInitializing" + notReady},
		{name: "init fails for good", in: viewOf(podOf(never, "+i", "a"), endedAgo("i", 0, 1, 0)), want: "Failed i=Error:1 a=PodInitializing !Initialized(ContainersNotInitialized) !Ready(PodFailed) !ContainersReady(PodFailed)"},
		{name: "init crashes", in: viewOf(podOf(always, "+i", "a"), endedAgo("i", 1, 1, 0)), want: "Pending i=CrashLoopBackOff<Error:1 a=PodInitializing !Initialized(ContainersNotInitialized)" + notReady},
		{name: "rejected", in: viewOf(podOf(always, "a")), then: func(v *podstate.View, _ *Facts) {
			noSandbox(v)
			v.Failure = podstate.Rejection("OutOfcpu", "no")
		},
			want: "Failed/OutOfcpu"},
		{name: "rejected, with init containers", in: viewOf(podOf(always, "+i", "~s", "a")), then: func(v *podstate.View, _ *Facts) {
			noSandbox(v)
			v.Failure = podstate.Rejection("SysctlForbidden", "no")
		},
			want: "Failed/SysctlForbidden"},
		{name: "rejected by a kubelet before", in: viewOf(podOf(always, "+i", "a")), then: func(v *podstate.View, _ *Facts) {
			noSandbox(v)
			v.Pod.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "OutOfcpu"}
		}, want: "Failed/OutOfcpu"},
		{name: "past its deadline, yet running", in: viewOf(podOf(always, "a"), runs("a", 0)), then: pastDeadline,
			want: "Pending a=running,ready !Ready(PodFailed) !ContainersReady(PodFailed)"},
		{name: "past its deadline, yet running, reported before", in: viewOf(podOf(always, "a"), runs("a", 0)), then: func(v *podstate.View, x *Facts) {
			pastDeadline(v, x)
			v.Pod.Status.Phase = corev1.PodRunning
		}, want: "Running a=running,ready !Ready(PodFailed) !ContainersReady(PodFailed)"},
		{name: "past its deadline, being started", in: viewOf(podOf(always, "a")), then: func(v *podstate.View, x *Facts) { pastDeadline(v, x); v.Busy["a"] = true },
			want: "Pending a=ContainerCreating !Ready(PodFailed) !ContainersReady(PodFailed)"},
		{name: "past its deadline, ended", in: viewOf(podOf(always, "a"), endedAgo("a", 0, 143, 0)), then: func(v *podstate.View, x *Facts) { pastDeadline(v, x); v.Busy[engine.SandboxName] = true },
			want: "Failed/DeadlineExceeded a=Error:143 !Ready(PodFailed) !ContainersReady(PodFailed)"},
		{name: "the app is done, its sidecar runs", in: viewOf(podOf(never, "~s", "a"), runs("s", 0), endedAgo("a", 0, 0, 0)),
			want: "Running s=running,ready a=Error:0" + notReady},
		{name: "init fails for good, a sidecar runs", in: viewOf(podOf(never, "~s", "+i", "a"), runs("s", 0), endedAgo("i", 0, 1, 0)),
			want: "Pending s=running,ready i=Error:1 a=PodInitializing !Initialized(ContainersNotInitialized) !Ready(PodFailed) !ContainersReady(PodFailed)"},
		{name: "all have ended, the sidecar too", in: viewOf(podOf(never, "~s", "a"), endedAgo("s", 0, 143, 0), endedAgo("a", 0, 0, 0)),
			want: "Succeeded s=Error:143 a=Error:0 !Ready(PodCompleted) !ContainersReady(PodCompleted)"},
		{name: "past its deadline before anything ran", in: viewOf(podOf(always, "a")), then: pastDeadline,
			want: "Failed/DeadlineExceeded a=ContainerStatusUnknown:137 !Ready(PodFailed) !ContainersReady(PodFailed)"},
		{name: "past its deadline before its init containers", in: viewOf(podOf(always, "+i", "+j", "a"), endedAgo("i", 0, 0, 0)), then: pastDeadline,
			want: "Failed/DeadlineExceeded i=Error:0,ready j=PodInitializing a=PodInitializing !Initialized(ContainersNotInitialized) !Ready(PodFailed) !ContainersReady(PodFailed)"},
		{name: "past its deadline after its init containers", in: viewOf(podOf(always, "+i", "a"), endedAgo("i", 0, 0, 0)), then: pastDeadline,
			want: "Failed/DeadlineExceeded i=Error:0,ready a=ContainerStatusUnknown:137 !Ready(PodFailed) !ContainersReady(PodFailed)"},
		{name: "deleted before anything ran", in: viewOf(podOf(always, "+i", "a")), then: func(v *podstate.View, _ *Facts) { v.Pod.DeletionTimestamp = &metav1.Time{Time: noon} },
			want: "Failed i=ContainerStatusUnknown:137 a=PodInitializing !Initialized(ContainersNotInitialized) !Ready(PodFailed) !ContainersReady(PodFailed)"},
		{name: "deleted, ended well, its sandbox goes", in: viewOf(podOf(always, "a"), endedAgo("a", 0, 0, 0)), then: func(v *podstate.View, _ *Facts) {
			v.Pod.DeletionTimestamp = &metav1.Time{Time: noon}
			v.Busy[engine.SandboxName] = true
		}, want: "Succeeded a=Error:0 !Ready(PodCompleted) !ContainersReady(PodCompleted)"},
		{name: "deleted, ending", in: viewOf(podOf(always, "a"), runs("a", 0)), then: func(v *podstate.View, _ *Facts) { v.Pod.DeletionTimestamp = &metav1.Time{Time: noon} },
			want: "Running a=running,ready"},
		{name: "deleted, ended well", in: viewOf(podOf(always, "a"), endedAgo("a", 0, 0, 0)), then: func(v *podstate.View, _ *Facts) { v.Pod.DeletionTimestamp = &metav1.Time{Time: noon} },
			want: "Succeeded a=Error:0 !Ready(PodCompleted) !ContainersReady(PodCompleted)"},
		{name: "an end is not left", in: viewOf(podOf(always, "a"), runs("a", 0)), then: func(v *podstate.View, _ *Facts) {
			v.Pod.Status.Phase, v.Pod.Status.Reason = corev1.PodFailed, "Evicted"
		},
			want: "Failed/Evicted a=running,ready !Ready(PodFailed) !ContainersReady(PodFailed)"},
		{name: "a readiness gate", in: viewOf(podOf(always, "a"), runs("a", 0)), then: func(v *podstate.View, _ *Facts) {
			v.Pod.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "example.com/gate"}}
		}, want: "Running a=running,ready !Ready(ReadinessGatesNotReady)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x := Facts{Problems: map[string]Problem{}, Starting: map[string]bool{}, NodeIPs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}, PodIPs: []netip.Addr{netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("fd00::5")}, Started: noon}
			if tc.then != nil {
				tc.then(&tc.in, &x)
			}
			got := Of(tc.in, x)
			if d := cmp.Diff(tc.want, brief(got)); d != "" {
				t.Errorf("status (-want +got):\n%s", d)
			}
			// What was written and read back is no change: the kubelet comes to rest.
			tc.in.Pod.Status = got
			if d := cmp.Diff(got, Of(tc.in, x)); d != "" {
				t.Errorf("the status does not rest (-first +second):\n%s", d)
			}
		})
	}
}

// Ephemeral containers have a status and change nothing else of the pod's.
func TestEphemeralStatus(t *testing.T) {
	for _, tc := range []struct {
		name string
		d    *engine.ContainerStatus
		want string
	}{
		{"to come", nil, "ContainerCreating"}, {"running", runs("d", 0), "running"}, {"ended", endedAgo("d", 0, 2, 0), "Error:2"},
	} {
		pod := podOf(corev1.RestartPolicyAlways, "a")
		pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "d", Image: "i"}}}
		list := []*engine.ContainerStatus{runs("a", 0)}
		if tc.d != nil {
			list = append(list, tc.d)
		}
		s := Of(viewOf(pod, list...), Facts{})
		if got := brief(s); got != "Running a=running,ready" {
			t.Errorf("%s: the pod is %s", tc.name, got)
		}
		if len(s.EphemeralContainerStatuses) != 1 || briefState(s.EphemeralContainerStatuses[0]) != tc.want || s.EphemeralContainerStatuses[0].Started != nil {
			t.Errorf("%s: got %+v, want %s", tc.name, s.EphemeralContainerStatuses, tc.want)
		}
	}
}

func pastDeadline(v *podstate.View, _ *Facts) {
	v.Failure = &podstate.Failure{Reason: "DeadlineExceeded"}
}

// A rejected pod's status is its reason alone: container statuses would be shown in its place.
func TestRejectedStatus(t *testing.T) {
	v := viewOf(podOf(corev1.RestartPolicyAlways, "+i", "a"))
	noSandbox(&v)
	v.Failure = podstate.Rejection("OutOfcpu", "Node didn't have enough resource: cpu")
	v.Pod.Generation = 3
	v.Pod.Status = corev1.PodStatus{
		Phase: corev1.PodPending,
		Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: "example.com/gate", Status: corev1.ConditionFalse},
		},
		ContainerStatuses: []corev1.ContainerStatus{{Name: "a"}},
	}
	want := corev1.PodStatus{
		Phase: corev1.PodFailed, Reason: "OutOfcpu", Message: "Pod was rejected: Node didn't have enough resource: cpu",
		QOSClass: corev1.PodQOSBestEffort, StartTime: &metav1.Time{Time: noon}, ObservedGeneration: 3,
		Conditions: []corev1.PodCondition{{Type: "example.com/gate", Status: corev1.ConditionFalse}},
	}
	if d := cmp.Diff(want, Of(v, Facts{Started: noon})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestStatusKeepsWhatOthersWrote(t *testing.T) {
	v := viewOf(podOf(corev1.RestartPolicyAlways, "a"), runs("a", 0))
	before := metav1.NewTime(noon.Add(-time.Hour))
	v.Pod.Status = corev1.PodStatus{
		NominatedNodeName: "n2",
		Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: before},
			{Type: "example.com/gate", Status: corev1.ConditionFalse, LastTransitionTime: before},
			{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: before},
		},
	}
	s := Of(v, Facts{})
	got := map[corev1.PodConditionType]bool{}
	for _, c := range s.Conditions {
		got[c.Type] = c.LastTransitionTime.Equal(&before)
	}
	want := map[corev1.PodConditionType]bool{
		corev1.PodScheduled: true, "example.com/gate": true, corev1.PodReady: true,
		corev1.PodReadyToStartContainers: false, corev1.PodInitialized: false, corev1.ContainersReady: false,
	}
	if d := cmp.Diff(want, got); d != "" || s.NominatedNodeName != "n2" {
		t.Errorf("conditions whose time was kept (-want +got):\n%s\nnominated %q", d, s.NominatedNodeName)
	}
}

func TestQOSClass(t *testing.T) {
	both := func(cpu, memory string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	}
	for _, tc := range []struct {
		name string
		in   corev1.ResourceRequirements
		want corev1.PodQOSClass
	}{
		{"nothing", corev1.ResourceRequirements{}, corev1.PodQOSBestEffort},
		{"requests", corev1.ResourceRequirements{Requests: both("1", "1Gi")}, corev1.PodQOSBurstable},
		{"limits", corev1.ResourceRequirements{Limits: both("1", "1Gi")}, corev1.PodQOSGuaranteed},
		{"equal", corev1.ResourceRequirements{Requests: both("1000m", "1Gi"), Limits: both("1", "1Gi")}, corev1.PodQOSGuaranteed},
		{"below", corev1.ResourceRequirements{Requests: both("500m", "1Gi"), Limits: both("1", "1Gi")}, corev1.PodQOSBurstable},
		{"only cpu", corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}}, corev1.PodQOSBurstable},
	} {
		pod := podOf(corev1.RestartPolicyAlways, "a")
		pod.Spec.Containers[0].Resources = tc.in
		if got := podstate.QOSClass(pod); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}
