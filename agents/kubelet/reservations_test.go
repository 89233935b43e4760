package kubelet

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/registry"
	"gantry/schema/pods"
)

// A node for two pods, which are "a" and "b".
func TestPodWaitsForPodsThatTerminate(t *testing.T) {
	node := &corev1.Node{Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{corev1.ResourcePods: quantity("2")}}}
	podNamed := func(uid string) *corev1.Pod { return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid)}} }
	for _, tc := range []struct {
		name   string
		before func(*reservations)
		want   string // the answer to c
		after  func(*reservations)
		woken  int
		then   string // the next answer to c
	}{
		{name: "full", want: "OutOfpods"},
		{name: "one has ended", before: func(r *reservations) { r.remove("a") }, want: "admitted"},
		{name: "one is deleted", before: func(r *reservations) { r.setDeleted("a", true) }, want: "waits",
			after: func(r *reservations) { r.remove("a") }, woken: 1, then: "admitted"},
		{name: "one is ended by its worker", before: func(r *reservations) { r.setEnding("b") }, want: "waits",
			after: func(r *reservations) { r.remove("b") }, woken: 1, then: "admitted"},
		{name: "one was deleted and is not any more", before: func(r *reservations) { r.setDeleted("a", true) }, want: "waits",
			after: func(r *reservations) { r.setDeleted("a", false) }, woken: 1, then: "OutOfpods"},
		{name: "another pod is admitted instead", before: func(r *reservations) { r.setDeleted("a", true) }, want: "waits",
			after: func(r *reservations) { r.remove("a"); _, _ = r.admit(podNamed("d"), false, node, nil) }, woken: 1, then: "OutOfpods"},
		{name: "it is deleted itself", before: func(r *reservations) { r.setDeleted("a", true) }, want: "waits",
			after: func(r *reservations) { r.remove("c"); r.remove("a") }, woken: 0, then: "admitted"},
		{name: "one that is ending is kept", before: func(r *reservations) { r.remove("a"); r.keep(podNamed("a")) }, want: "waits",
			after: func(r *reservations) { r.remove("a") }, woken: 1, then: "admitted"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, woken := newReservations(), 0
			admit := func() string {
				f, wait := r.admit(podNamed("c"), false, node, func() { woken++ })
				switch {
				case f != nil:
					return f.reason
				case wait:
					return "waits"
				}
				return "admitted"
			}
			for _, uid := range []string{"a", "b"} {
				if f, wait := r.admit(podNamed(uid), false, node, nil); f != nil || wait {
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
	r, node := newReservations(), &corev1.Node{Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{corev1.ResourcePods: quantity("0")}}}
	if f, wait := r.admit(podOf(corev1.RestartPolicyAlways, "a"), true, node, nil); f != nil || wait {
		t.Error(f, wait)
	}
}

// The order is upstream's: resources, affinity, ports.
func TestAdmissionFailureTexts(t *testing.T) {
	node := &corev1.Node{Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
		corev1.ResourcePods: quantity("2"), corev1.ResourceCPU: quantity("2"), corev1.ResourceMemory: quantity("1Gi")}}}
	with := func(change func(*corev1.Pod)) *corev1.Pod {
		p := podOf(corev1.RestartPolicyAlways, "a")
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: quantity("500m")}
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
			p.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = quantity("1600m")
		}), []*corev1.Pod{there}, "OutOfcpu: Node didn't have enough resource: cpu, requested: 1600, used: 500, capacity: 2000"},
		{"memory", with(func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests[corev1.ResourceMemory] = quantity("2Gi")
		}), nil, "OutOfmemory: Node didn't have enough resource: memory, requested: 2147483648, used: 0, capacity: 1073741824"},
		{"affinity, and the port", with(func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"a": "b"} }), []*corev1.Pod{there},
			"NodeAffinity: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"},
		{"port", with(func(*corev1.Pod) {}), []*corev1.Pod{there},
			"NodePorts: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"},
	} {
		got := ""
		if f := admissionFailure(tc.pod, tc.others, node); f != nil {
			got = fmt.Sprintf("%s: %s", f.reason, f.message)
		}
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, d)
		}
	}
}

// A pod that was deleted without grace is removed from the API at once and runs on for a while. The next pod waits for its cpu or
// host port.
func TestNextPodWaitsForOneThatEnds(t *testing.T) {
	r := newTestCluster(t).start()
	cpu := r.untilNodeReady().Status.Allocatable[corev1.ResourceCPU]
	whole := func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: cpu}
	}
	port := func(p *corev1.Pod) {
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80, HostPort: 12345, Protocol: corev1.ProtocolTCP}}
	}
	none := int64(0)
	for name, share := range map[string]func(*corev1.Pod){"cpu": whole, "port": port} {
		r.run(name+"-0", share, "stubborn")
		r.untilLog(r.untilRunning(name + "-0").Status.ContainerStatuses[0].ContainerID, "up")
		for i := range 3 {
			r.delete(fmt.Sprintf("%s-%d", name, i), &none)
			next := fmt.Sprintf("%s-%d", name, i+1)
			r.run(next, share, "stubborn")
			r.until(next, "running and ready", func(p *corev1.Pod) bool {
				if p != nil && pods.IsTerminal(p) {
					t.Fatalf("%s: %s %s: %s", next, p.Status.Phase, p.Status.Reason, p.Status.Message)
				}
				return isReady(p)
			})
		}
		r.delete(name+"-3", &none)
	}
	r.untilNoContainers()
}

// One who would not fit anyway is refused at once, and its status is why.
func TestRefusedPodSaysWhy(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	r := newTestCluster(t).start()
	r.untilNodeReady()
	r.run("big", func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: quantity("5000")}
		p.Spec.InitContainers = []corev1.Container{{Name: "init", Image: testImage}, {Name: "side", Image: testImage, RestartPolicy: &always}}
	}, "run")
	pod := r.until("big", "Failed", hasPhase(corev1.PodFailed))
	s := pod.Status
	if s.Reason != "OutOfcpu" || len(s.ContainerStatuses) > 0 || len(s.InitContainerStatuses) > 0 || s.StartTime == nil || len(s.Conditions) > 0 {
		t.Errorf("status: %+v", s)
	}
	if e := r.untilEvent("big", "OutOfcpu"); "Pod was rejected: "+e.Message != s.Message {
		t.Errorf("event %q, status %q", e.Message, s.Message)
	}
	r.stop()
	r.start() // another kubelet leaves it so
	r.run("after", nil, "run")
	r.untilRunning("after")
	again := r.until("big", "there", func(p *corev1.Pod) bool { return p != nil })
	if d := cmp.Diff(s, again.Status); d != "" {
		t.Errorf("after a restart of the kubelet (-before +after):\n%s", d)
	}
	if err := registry.For[*corev1.Pod](r.api).Delete(t.Context(), "default", "big", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	r.until("big", "gone", isGone)
}
