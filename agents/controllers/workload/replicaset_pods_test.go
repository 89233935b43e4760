package workload

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/plantest"
	"gantry/schema/apps"
)

func makeSet(n int32) *appsv1.ReplicaSet {
	app := map[string]string{"app": "web"}
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web-1", UID: "uid-set", ResourceVersion: "7", Generation: 2},
		Spec: appsv1.ReplicaSetSpec{Replicas: &n, Selector: &metav1.LabelSelector{MatchLabels: app},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: app}}},
	}
}

func TestPodPlans(t *testing.T) {
	dead := makeSet(3)
	dead.DeletionTimestamp = &metav1.Time{Time: plantest.Now}
	odd := makeSet(3)
	odd.Spec.Selector = &metav1.LabelSelector{}
	tests := []struct {
		name string
		set  *appsv1.ReplicaSet
		pods []*corev1.Pod
		want string // verb x count
	}{
		{"none yet", makeSet(3), nil, "create 3"},
		{"one goes", makeSet(3), []*corev1.Pod{plantest.MakePod("a"), plantest.MakePod("b"), plantest.MakePod("c", plantest.Deleting)}, "create 1"},
		{"enough", makeSet(2), []*corev1.Pod{plantest.MakePod("a"), plantest.MakePod("b")}, ""},
		{"too many", makeSet(1), []*corev1.Pod{plantest.MakePod("a"), plantest.MakePod("b"), plantest.MakePod("c")}, "delete 2"},
		{"being deleted", dead, nil, ""},
		{"selects everything", odd, nil, ""},
		{"an absurd size", makeSet(1 << 30), nil, fmt.Sprint("create ", burstReplicas)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan := planPods(apps.ReplicaSet, tt.set, tt.pods, nil, plantest.Now)
			got := ""
			if len(plan) > 0 {
				got = fmt.Sprint(plan[0].Do, " ", len(plan))
			}
			if got != tt.want {
				t.Errorf("plan %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPodNamesAreOfTheView(t *testing.T) {
	names := func(rs *appsv1.ReplicaSet, pods ...*corev1.Pod) (out []string) {
		for _, a := range planPods(apps.ReplicaSet, rs, pods, nil, plantest.Now) {
			out = append(out, a.Object.GetName())
		}
		return out
	}
	first := names(makeSet(500))
	if diff := cmp.Diff(first, names(makeSet(500))); diff != "" {
		t.Errorf("the same view plans other names:\n%s", diff)
	}
	if n := len(slices.Compact(slices.Sorted(slices.Values(first)))); n != 500 {
		t.Errorf("%d different names, want 500", n)
	}
	for _, name := range first {
		if rest, ok := strings.CutPrefix(name, "web-1-"); !ok || len(rest) != 5 {
			t.Fatalf("name %q, want web-1-<5>", name)
		}
	}
	if other := names(makeSet(500), plantest.MakePod("x")); other[0] == first[0] {
		t.Error("another view plans the same names")
	}
	long := makeSet(1)
	long.Name = strings.Repeat("x", 100)
	if got := names(long)[0]; len(got) != 63 {
		t.Errorf("a name of %d characters, want 63", len(got))
	}
}

func TestReplicaSetStatus(t *testing.T) {
	rs := makeSet(3)
	rs.Spec.MinReadySeconds = 10
	fresh := func(p *corev1.Pod) {
		p.Status.Conditions = nil
		plantest.SetReady(p, corev1.ConditionTrue, plantest.Now.Add(-4*time.Second))
	}
	unlabelled := func(p *corev1.Pod) { p.Labels = nil }
	pods := []*corev1.Pod{plantest.MakePod("a"), plantest.MakePod("b", fresh), plantest.MakePod("c", plantest.NotReady, unlabelled), plantest.MakePod("d", plantest.Deleting)}
	plan, after := replicaSetKind.planStatus(rs, pods, nil, nil, plantest.Now)
	if len(plan) != 1 {
		t.Fatalf("%d actions, want 1", len(plan))
	}
	terminating := int32(1)
	want := appsv1.ReplicaSetStatus{Replicas: 3, FullyLabeledReplicas: 2, ReadyReplicas: 2, AvailableReplicas: 1, TerminatingReplicas: &terminating, ObservedGeneration: 2}
	got := plan[0].Object.(*appsv1.ReplicaSet)
	if diff := cmp.Diff(want, got.Status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if after != 6*time.Second {
		t.Errorf("again after %s, want 6s: then b is available", after)
	}
	if again, _ := replicaSetKind.planStatus(got, pods, nil, nil, plantest.Now); len(again) > 0 {
		t.Errorf("a status that is right is written again: %v", again)
	}
	failed, _ := replicaSetKind.planStatus(got, pods, []controller.Action{{Do: controller.Create}}, errors.New("quota"), plantest.Now)
	c := failed[0].Object.(*appsv1.ReplicaSet).Status.Conditions
	if len(c) != 1 || c[0].Reason != "FailedCreate" || c[0].Message != "quota" {
		t.Errorf("conditions %v, want FailedCreate: quota", c)
	}
}
