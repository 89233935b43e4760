package controllers

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

	"gantry/registry"
	"gantry/schema/apps"
	"gantry/schema/core"
)

func makeSet(n int32) *appsv1.ReplicaSet {
	app := map[string]string{"app": "web"}
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web-1", UID: "uid-set", ResourceVersion: "7", Generation: 2},
		Spec: appsv1.ReplicaSetSpec{Replicas: &n, Selector: &metav1.LabelSelector{MatchLabels: app},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: app}}},
	}
}

func TestRankingMissesTheLeastFirst(t *testing.T) {
	youngerReady := func(p *corev1.Pod) {
		setPodCondition(p, corev1.PodReady, corev1.ConditionFalse, "", "", now)
		setReady(p, corev1.ConditionTrue, now.Add(-time.Minute))
	}
	cheap := func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.PodDeletionCost: "-1"} }
	dear := func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.PodDeletionCost: "10"} }
	restarted := func(p *corev1.Pod) { p.Status.ContainerStatuses = []corev1.ContainerStatus{{RestartCount: 3}} }
	young := func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(now.Add(-time.Minute)) }
	tests := []struct {
		name    string
		in      []*corev1.Pod
		related map[string]int
		want    string
	}{
		{"unscheduled before scheduled", []*corev1.Pod{makePod("a", notReady), makePod("b", unscheduled)}, nil, "b a"},
		{"pending before running", []*corev1.Pod{makePod("a", notReady), makePod("b", phase(corev1.PodPending), notReady)}, nil, "b a"},
		{"unknown between", []*corev1.Pod{makePod("a", notReady), makePod("b", phase(corev1.PodUnknown), notReady), makePod("c", phase(corev1.PodPending), notReady)}, nil, "c b a"},
		{"not ready before ready", []*corev1.Pod{makePod("a"), makePod("b", notReady)}, nil, "b a"},
		{"cheaper first", []*corev1.Pod{makePod("a", dear), makePod("b"), makePod("c", cheap)}, nil, "c b a"},
		{"the fuller node first", []*corev1.Pod{makePod("a"), makePod("b", onNode("n2"))}, map[string]int{"n1": 1, "n2": 2}, "b a"},
		{"cost outweighs spreading", []*corev1.Pod{makePod("a", cheap), makePod("b", onNode("n2"))}, map[string]int{"n1": 1, "n2": 2}, "a b"},
		{"ready for less time first", []*corev1.Pod{makePod("a"), makePod("b", youngerReady)}, nil, "b a"},
		{"restarted more often first", []*corev1.Pod{makePod("a"), makePod("b", restarted)}, nil, "b a"},
		{"younger first", []*corev1.Pod{makePod("a"), makePod("b", young)}, nil, "b a"},
		{"else by uid", []*corev1.Pod{makePod("b"), makePod("a")}, nil, "a b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, p := range rankForDeletion(tt.in, tt.related, now) {
				got = append(got, p.Name)
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("order %q, want %q", s, tt.want)
			}
		})
	}
}

func TestPodPlans(t *testing.T) {
	dead := makeSet(3)
	dead.DeletionTimestamp = &metav1.Time{Time: now}
	odd := makeSet(3)
	odd.Spec.Selector = &metav1.LabelSelector{}
	tests := []struct {
		name string
		set  *appsv1.ReplicaSet
		pods []*corev1.Pod
		want string // verb x count
	}{
		{"none yet", makeSet(3), nil, "create 3"},
		{"one goes", makeSet(3), []*corev1.Pod{makePod("a"), makePod("b"), makePod("c", deleting)}, "create 1"},
		{"enough", makeSet(2), []*corev1.Pod{makePod("a"), makePod("b")}, ""},
		{"too many", makeSet(1), []*corev1.Pod{makePod("a"), makePod("b"), makePod("c")}, "delete 2"},
		{"being deleted", dead, nil, ""},
		{"selects everything", odd, nil, ""},
		{"an absurd size", makeSet(1 << 30), nil, fmt.Sprint("create ", burst)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan := planPods(tt.set, tt.pods, nil, now)
			got := ""
			if len(plan) > 0 {
				got = fmt.Sprint(plan[0].do, " ", len(plan))
			}
			if got != tt.want {
				t.Errorf("plan %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPodNamesAreOfTheView(t *testing.T) {
	names := func(rs *appsv1.ReplicaSet, pods ...*corev1.Pod) (out []string) {
		for _, a := range planPods(rs, pods, nil, now) {
			out = append(out, a.obj.GetName())
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
	if other := names(makeSet(500), makePod("x")); other[0] == first[0] {
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
		setReady(p, corev1.ConditionTrue, now.Add(-4*time.Second))
	}
	unlabelled := func(p *corev1.Pod) { p.Labels = nil }
	pods := []*corev1.Pod{makePod("a"), makePod("b", fresh), makePod("c", notReady, unlabelled), makePod("d", deleting)}
	plan, after := planReplicaSetStatus(rs, pods, nil, nil, now)
	if len(plan) != 1 {
		t.Fatalf("%d actions, want 1", len(plan))
	}
	terminating := int32(1)
	want := appsv1.ReplicaSetStatus{Replicas: 3, FullyLabeledReplicas: 2, ReadyReplicas: 2, AvailableReplicas: 1, TerminatingReplicas: &terminating, ObservedGeneration: 2}
	got := plan[0].obj.(*appsv1.ReplicaSet)
	if diff := cmp.Diff(want, got.Status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if after != 6*time.Second {
		t.Errorf("again after %s, want 6s: then b is available", after)
	}
	if again, _ := planReplicaSetStatus(got, pods, nil, nil, now); len(again) > 0 {
		t.Errorf("a status that is right is written again: %v", again)
	}
	failed, _ := planReplicaSetStatus(got, pods, []action{{do: create}}, errors.New("quota"), now)
	c := failed[0].obj.(*appsv1.ReplicaSet).Status.Conditions
	if len(c) != 1 || c[0].Reason != "FailedCreate" || c[0].Message != "quota" {
		t.Errorf("conditions %v, want FailedCreate: quota", c)
	}
}

const set = `apiVersion: apps/v1
kind: ReplicaSet
metadata: {namespace: default, name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "web:1"}]}
`

func TestReplicaSetAdoptsReleasesAndReplaces(t *testing.T) {
	c := start(t, nil)
	c.ready()
	c.apply(`apiVersion: v1
kind: Pod
metadata: {namespace: default, name: orphan, labels: {app: web}}
spec: {containers: [{name: c, image: "web:1"}]}
`)
	if _, ok := get[*corev1.Pod](c, "default", "orphan"); !ok { // consistent: the controller's cache has it too
		t.Fatal("the orphan is not there")
	}
	c.apply(set)
	available := func(n int32) func() string {
		return func() string {
			rs, ok := get[*appsv1.ReplicaSet](c, "default", "web")
			if !ok || rs.Status.AvailableReplicas != n || rs.Status.Replicas != n {
				return fmt.Sprintf("%d available pods", n)
			}
			return ""
		}
	}
	c.until(available(2), apps.ReplicaSet)
	orphan, _ := get[*corev1.Pod](c, "default", "orphan")
	if !metav1.IsControlledBy(orphan, list[*appsv1.ReplicaSet](c, "default", "")[0]) {
		t.Fatalf("the orphan was not adopted: %v", orphan.OwnerReferences)
	}
	_, err := registry.For[*corev1.Pod](c.r).Modify(c.ctx, "default", "orphan", func(p *corev1.Pod) error { p.Labels["app"] = "aside"; return nil })
	if err != nil {
		t.Fatal(err)
	}
	c.until(func() string {
		orphan, ok := get[*corev1.Pod](c, "default", "orphan")
		if !ok {
			t.Fatal("the released pod was deleted")
		}
		if len(orphan.OwnerReferences) > 0 || len(list[*corev1.Pod](c, "default", "app=web")) != 2 {
			return "the pod to be released and replaced"
		}
		return ""
	}, core.Pod)
	victim := list[*corev1.Pod](c, "default", "app=web")[0]
	if err := registry.For[*corev1.Pod](c.r).Delete(c.ctx, "default", victim.Name, registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.until(func() string {
		if _, ok := get[*corev1.Pod](c, "default", victim.Name); ok {
			return "the deleted pod to go"
		}
		return available(2)()
	}, core.Pod, apps.ReplicaSet)
}

func TestReplicaSetSaysWhyItCannot(t *testing.T) {
	c := start(t, nil)
	c.ready()
	c.apply(strings.Replace(set, `image: "web:1"}]`, `image: "web:1"}], serviceAccountName: nobody`, 1))
	c.until(func() string {
		rs, ok := get[*appsv1.ReplicaSet](c, "default", "web")
		if !ok || len(rs.Status.Conditions) == 0 {
			return "a condition"
		}
		if cond := rs.Status.Conditions[0]; cond.Reason != "FailedCreate" || !strings.Contains(cond.Message, "nobody") {
			t.Fatalf("condition %v, want FailedCreate that names nobody", cond)
		}
		if !slices.Contains(c.events("web"), "replicaset-controller FailedCreate") {
			return "the event FailedCreate"
		}
		return ""
	}, apps.ReplicaSet, core.Event)
	c.apply("apiVersion: v1\nkind: ServiceAccount\nmetadata: {namespace: default, name: nobody}\n")
	c.until(func() string {
		if rs, _ := get[*appsv1.ReplicaSet](c, "default", "web"); rs.Status.AvailableReplicas != 2 || len(rs.Status.Conditions) > 0 {
			return "two available pods and no condition"
		}
		return ""
	}, apps.ReplicaSet)
}
