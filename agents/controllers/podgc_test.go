package controllers

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPodGCPlans(t *testing.T) {
	old := func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(now.Add(-24 * time.Hour)) }
	nodes := map[string]*corev1.Node{
		"n1": {},
		"n2": {Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: corev1.TaintNodeOutOfService}}}},
	}
	tests := []struct {
		name string
		pods []*corev1.Pod
		want string
	}{
		{"running", []*corev1.Pod{makePod("a"), makePod("b", deleting)}, ""},
		{"the node is gone", []*corev1.Pod{makePod("a", onNode("lost"))}, "update status of a, delete a"},
		{"the node is gone for too short", []*corev1.Pod{makePod("a", onNode("new"))}, ""},
		{"ended on a node that is gone", []*corev1.Pod{makePod("a", onNode("lost"), phase(corev1.PodSucceeded))}, "delete a"},
		{"deleted without ever a node", []*corev1.Pod{makePod("a", unscheduled, deleting), makePod("b", unscheduled)}, "delete a"},
		{"deleted on a node out of service", []*corev1.Pod{makePod("a", onNode("n2"), deleting), makePod("b", onNode("n2"))}, "update status of a, delete a"},
		{"too many have ended", []*corev1.Pod{makePod("a", phase(corev1.PodFailed)), makePod("b", phase(corev1.PodSucceeded), old), makePod("c", phase(corev1.PodFailed))}, "delete b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, a := range planPodGC(tt.pods, nodes, map[string]bool{"lost": true}, 2, now) {
				got = append(got, string(a.do)+" "+a.obj.GetName())
				if a.do == remove && *a.options.GracePeriodSeconds != 0 {
					t.Errorf("%s is deleted gracefully: nobody will confirm that", a.obj.GetName())
				}
			}
			if s := strings.Join(got, ", "); s != tt.want {
				t.Errorf("plan %q, want %q", s, tt.want)
			}
		})
	}
}
