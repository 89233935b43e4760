package core

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var (
	tableNow = metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	always   = corev1.ContainerRestartPolicyAlways
	yes      = true
)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(tableNow.Add(-d)) }

func waiting(reason string) corev1.ContainerStatus {
	return corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}
}

func ended(code int32, reason string) corev1.ContainerStatus {
	return corev1.ContainerStatus{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason}}}
}

func running(ready bool) corev1.ContainerStatus {
	return corev1.ContainerStatus{Ready: ready, Started: &yes, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
}

func named(name string, s corev1.ContainerStatus) corev1.ContainerStatus {
	s.Name = name
	return s
}

func restarted(n int32, at metav1.Time, s corev1.ContainerStatus) corev1.ContainerStatus {
	s.RestartCount = n
	if !at.IsZero() {
		s.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{FinishedAt: at}
	}
	return s
}

func TestPodRow(t *testing.T) {
	ready := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue}
	initialized := corev1.PodCondition{Type: corev1.PodInitialized, Status: corev1.ConditionTrue}
	deleted := ago(time.Second)
	two := corev1.PodSpec{Containers: []corev1.Container{{Name: "a"}, {Name: "b"}}}
	inits := corev1.PodSpec{InitContainers: []corev1.Container{{Name: "i"}, {Name: "s", RestartPolicy: &always}}, Containers: []corev1.Container{{Name: "a"}}}
	tests := []struct {
		name    string
		deleted *metav1.Time
		spec    corev1.PodSpec
		status  corev1.PodStatus
		want    []any // ready, status, restarts
	}{
		{name: "pending", spec: two, status: corev1.PodStatus{Phase: corev1.PodPending}, want: []any{"0/2", "Pending", "0"}},
		{name: "gated", spec: two, status: corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Reason: corev1.PodReasonSchedulingGated}}}, want: []any{"0/2", "SchedulingGated", "0"}},
		{name: "creating", spec: two, status: corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{waiting("ContainerCreating"), waiting("ContainerCreating")}}, want: []any{"0/2", "ContainerCreating", "0"}},
		{name: "running", spec: two, status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{running(true), running(false)}}, want: []any{"1/2", "Running", "0"}},
		{name: "the first container speaks", spec: two, status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{waiting("CrashLoopBackOff"), waiting("ErrImagePull")}}, want: []any{"0/2", "CrashLoopBackOff", "0"}},
		{name: "restarts", spec: two, status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{restarted(1, ago(5*time.Minute), running(true)), restarted(1, ago(time.Hour), running(true))}}, want: []any{"2/2", "Running", "2 (5m ago)"}},
		{name: "restarts of unknown time", spec: two, status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{restarted(3, metav1.Time{}, running(true))}}, want: []any{"1/2", "Running", "3"}},
		{name: "completed", spec: two, status: corev1.PodStatus{Phase: corev1.PodSucceeded, ContainerStatuses: []corev1.ContainerStatus{ended(0, "Completed"), ended(0, "Completed")}}, want: []any{"0/2", "Completed", "0"}},
		{name: "one completed, one ready", spec: two, status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{ready}, ContainerStatuses: []corev1.ContainerStatus{ended(0, "Completed"), running(true)}}, want: []any{"1/2", "Running", "0"}},
		{name: "one completed, one runs unready pod", spec: two, status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{ended(0, "Completed"), running(true)}}, want: []any{"1/2", "NotReady", "0"}},
		{name: "one completed, one failed", spec: two, status: corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{ended(0, "Completed"), ended(1, "Error")}}, want: []any{"0/2", "Error", "0"}},
		{name: "exit code without a reason", spec: two, status: corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{ended(3, "")}}, want: []any{"0/2", "ExitCode:3", "0"}},
		{name: "evicted", spec: two, status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted"}, want: []any{"0/2", "Evicted", "0"}},
		{name: "terminating", deleted: &deleted, spec: two, status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{running(true), running(true)}}, want: []any{"2/2", "Terminating", "0"}},
		{name: "ended and being deleted", deleted: &deleted, spec: two, status: corev1.PodStatus{Phase: corev1.PodSucceeded, ContainerStatuses: []corev1.ContainerStatus{ended(0, "Completed")}}, want: []any{"0/2", "Completed", "0"}},
		{name: "node lost", deleted: &deleted, spec: two, status: corev1.PodStatus{Phase: corev1.PodRunning, Reason: "NodeLost"}, want: []any{"0/2", "Unknown", "0"}},
		{name: "initializing", spec: inits, status: corev1.PodStatus{Phase: corev1.PodPending, InitContainerStatuses: []corev1.ContainerStatus{named("i", running(false)), named("s", waiting("PodInitializing"))}}, want: []any{"0/2", "Init:0/2", "0"}},
		{name: "init crash", spec: inits, status: corev1.PodStatus{Phase: corev1.PodPending, InitContainerStatuses: []corev1.ContainerStatus{named("i", restarted(2, ago(90*time.Second), waiting("CrashLoopBackOff")))}}, want: []any{"0/2", "Init:CrashLoopBackOff", "2 (90s ago)"}},
		{name: "init failed", spec: inits, status: corev1.PodStatus{Phase: corev1.PodPending, InitContainerStatuses: []corev1.ContainerStatus{named("i", ended(1, "Error"))}}, want: []any{"0/2", "Init:Error", "0"}},
		{name: "sidecar runs, init restarts forgotten", spec: inits, status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{initialized}, InitContainerStatuses: []corev1.ContainerStatus{named("i", restarted(4, ago(time.Hour), ended(0, "Completed"))), named("s", restarted(1, ago(time.Minute), running(true)))}, ContainerStatuses: []corev1.ContainerStatus{running(true)}}, want: []any{"2/2", "Running", "1 (60s ago)"}},
		{name: "nothing known", want: []any{"0/0", "", "0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", DeletionTimestamp: tt.deleted}, Spec: tt.spec, Status: tt.status}
			if diff := cmp.Diff(tt.want, podRow(pod, tableNow)[1:4]); diff != "" {
				t.Errorf("cells (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPodRowWide(t *testing.T) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", CreationTimestamp: ago(50 * time.Hour)},
		Spec:       corev1.PodSpec{NodeName: "n1", ReadinessGates: []corev1.PodReadinessGate{{ConditionType: "x"}, {ConditionType: "y"}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, NominatedNodeName: "n2", PodIPs: []corev1.PodIP{{IP: "10.0.0.7"}, {IP: "fd00::7"}},
			Conditions: []corev1.PodCondition{{Type: "x", Status: corev1.ConditionTrue}}},
	}
	want := []any{"web", "0/0", "Running", "0", "2d2h", "10.0.0.7", "n1", "n2", "1/2"}
	if diff := cmp.Diff(want, podRow(pod, tableNow)); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	want = []any{"", "0/0", "", "0", "<unknown>", "<none>", "<none>", "<none>", "<none>"}
	if diff := cmp.Diff(want, podRow(&corev1.Pod{}, tableNow)); diff != "" {
		t.Errorf("cells of an empty pod (-want +got):\n%s", diff)
	}
}
