package allocation

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/kubelet/podstate/podstatetest"
)

// A node for two pods, which are "a" and "b".
func TestPodWaitsForPodsThatTerminate(t *testing.T) {
	node := &corev1.Node{Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("2")}}}
	podNamed := func(uid string) *corev1.Pod { return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid)}} }
	for _, tc := range []struct {
		name   string
		before func(*Reservations)
		want   string // the answer to c
		after  func(*Reservations)
		woken  int
		then   string // the next answer to c
	}{
		{name: "full", want: "OutOfpods"},
		{name: "one has ended", before: func(r *Reservations) { r.Remove("a") }, want: "admitted"},
		{name: "one is deleted", before: func(r *Reservations) { r.SetDeleted("a", true) }, want: "waits",
			after: func(r *Reservations) { r.Remove("a") }, woken: 1, then: "admitted"},
		{name: "one is ended by its worker", before: func(r *Reservations) { r.SetEnding("b") }, want: "waits",
			after: func(r *Reservations) { r.Remove("b") }, woken: 1, then: "admitted"},
		{name: "one was deleted and is not any more", before: func(r *Reservations) { r.SetDeleted("a", true) }, want: "waits",
			after: func(r *Reservations) { r.SetDeleted("a", false) }, woken: 1, then: "OutOfpods"},
		{name: "another pod is admitted instead", before: func(r *Reservations) { r.SetDeleted("a", true) }, want: "waits",
			after: func(r *Reservations) { r.Remove("a"); _, _ = r.Admit(podNamed("d"), false, node, nil) }, woken: 1, then: "OutOfpods"},
		{name: "it is deleted itself", before: func(r *Reservations) { r.SetDeleted("a", true) }, want: "waits",
			after: func(r *Reservations) { r.Remove("c"); r.Remove("a") }, woken: 0, then: "admitted"},
		{name: "one that is ending is kept", before: func(r *Reservations) { r.Remove("a"); r.Keep(podNamed("a")) }, want: "waits",
			after: func(r *Reservations) { r.Remove("a") }, woken: 1, then: "admitted"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, woken := NewReservations(), 0
			admit := func() string {
				f, wait := r.Admit(podNamed("c"), false, node, func() { woken++ })
				switch {
				case f != nil:
					return f.Reason
				case wait:
					return "waits"
				}
				return "admitted"
			}
			for _, uid := range []string{"a", "b"} {
				if f, wait := r.Admit(podNamed(uid), false, node, nil); f != nil || wait {
					t.Fatal(uid, f, wait)
				}
			}
			if tc.before != nil {
				tc.before(r)
			}
			if got := admit(); got != tc.want {
				t.Errorf("first: %s, want %s", got, tc.want)
			}
			if tc.after == nil {
				return
			}
			tc.after(r)
			if got := admit(); got != tc.then || woken != tc.woken {
				t.Errorf("then: %s, woken %d times; want %s, %d", got, woken, tc.then, tc.woken)
			}
		})
	}
}

// A pod that runs is admitted though the node has no resources for it.
func TestRunningPodIsAlwaysAdmitted(t *testing.T) {
	r, node := NewReservations(), &corev1.Node{Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}}}
	if f, wait := r.Admit(podstatetest.PodOf(corev1.RestartPolicyAlways, "a"), true, node, nil); f != nil || wait {
		t.Error(f, wait)
	}
}

// The order is upstream's: resources, affinity, ports.
func TestAdmissionFailureTexts(t *testing.T) {
	node := &corev1.Node{Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
		corev1.ResourcePods: resource.MustParse("2"), corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("1Gi")}}}
	with := func(change func(*corev1.Pod)) *corev1.Pod {
		p := podstatetest.PodOf(corev1.RestartPolicyAlways, "a")
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m")}
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{HostPort: 80, Protocol: corev1.ProtocolTCP}}
		change(p)
		return p
	}
	there := with(func(*corev1.Pod) {})
	other := func(p *corev1.Pod) { p.Spec.Containers[0].Ports = nil }
	for _, tc := range []struct {
		name   string
		pod    *corev1.Pod
		others []*corev1.Pod
		want   string
	}{
		{"fits", with(other), []*corev1.Pod{there}, ""},
		{"pods", with(other), []*corev1.Pod{there, there}, "OutOfpods: Node didn't have enough resource: pods, requested: 1, used: 2, capacity: 2"},
		{"cpu, and the port", with(func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = resource.MustParse("1600m")
		}), []*corev1.Pod{there}, "OutOfcpu: Node didn't have enough resource: cpu, requested: 1600, used: 500, capacity: 2000"},
		{"memory", with(func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests[corev1.ResourceMemory] = resource.MustParse("2Gi")
		}), nil, "OutOfmemory: Node didn't have enough resource: memory, requested: 2147483648, used: 0, capacity: 1073741824"},
		{"affinity, and the port", with(func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"a": "b"} }), []*corev1.Pod{there},
			"NodeAffinity: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"},
		{"port", with(func(*corev1.Pod) {}), []*corev1.Pod{there},
			"NodePorts: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"},
	} {
		got := ""
		if f := admissionFailure(tc.pod, tc.others, node); f != nil {
			got = fmt.Sprintf("%s: %s", f.Reason, f.Message)
		}
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, d)
		}
	}
}
