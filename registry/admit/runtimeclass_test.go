package admit_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"gantry/schema/core"
)

func TestRuntimeClass(t *testing.T) {
	cpu := func(text string) corev1.ResourceList { return corev1.ResourceList{"cpu": resource.MustParse(text)} }
	w := cluster()
	w["runtimeclasses//plain"] = &nodev1.RuntimeClass{Handler: "runc"}
	class := &nodev1.RuntimeClass{
		Handler: "kata", Overhead: &nodev1.Overhead{PodFixed: cpu("100m")},
		Scheduling: &nodev1.Scheduling{NodeSelector: map[string]string{"kata": "yes"}, Tolerations: []corev1.Toleration{{Key: "kata", Operator: "Exists"}}},
	}
	w["runtimeclasses//kata"] = class.DeepCopy()
	in := func(name string, f func(*corev1.PodSpec)) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.RuntimeClassName = &name
			f(&p.Spec)
		}
	}
	for _, tt := range []struct {
		name string
		pod  func(*corev1.Pod)
		want string
	}{
		{"no class", nil, "<nil>"},
		{"not found", in("gone", func(*corev1.PodSpec) {}), `pod rejected: RuntimeClass "gone" not found`},
		{"overhead without a class", func(p *corev1.Pod) { p.Spec.Overhead = cpu("1") }, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"},
		{"overhead that the class has not", in("plain", func(s *corev1.PodSpec) { s.Overhead = cpu("1") }), "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"},
		{"the class's overhead", in("kata", func(s *corev1.PodSpec) { s.Overhead = cpu("0.1") }), "<nil>"},
		{"another overhead", in("kata", func(s *corev1.PodSpec) { s.Overhead = cpu("1") }), "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"},
		{"other nodes", in("kata", func(s *corev1.PodSpec) { s.NodeSelector = map[string]string{"kata": "no"} }),
			"conflict: runtimeClass.scheduling.nodeSelector[kata] = yes; pod.spec.nodeSelector[kata] = no"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := create(t, w, core.Pod, newPod(tt.pod)); fmt.Sprint(err) != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
	p := newPod(in("kata", func(s *corev1.PodSpec) {
		s.NodeSelector = map[string]string{"disk": "ssd"}
		s.Tolerations = []corev1.Toleration{{Key: "kata", Operator: "Equal", Value: "x"}}
	}))
	if err := create(t, w, core.Pod, p); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{"disk": "ssd", "kata": "yes"}, p.Spec.NodeSelector); d != "" || !p.Spec.Overhead.Cpu().Equal(resource.MustParse("100m")) {
		t.Errorf("overhead %v, node selector (-want +got):\n%s", p.Spec.Overhead, d)
	}
	if len(p.Spec.Tolerations) != 3 || p.Spec.Tolerations[2] != class.Scheduling.Tolerations[0] {
		t.Errorf("tolerations %+v: the class's must replace the pod's own", p.Spec.Tolerations)
	}
	p.Spec.NodeSelector["x"], p.Spec.Overhead["memory"] = "y", resource.MustParse("1")
	if d := cmp.Diff(class, w["runtimeclasses//kata"]); d != "" {
		t.Errorf("the class was changed (-want +got):\n%s", d)
	}
}
