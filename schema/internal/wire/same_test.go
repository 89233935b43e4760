package wire_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gantry/schema/internal/wire"
)

func TestSame(t *testing.T) {
	full := func() *corev1.Pod {
		yes, grace := true, int64(30)
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Name: "web", Labels: map[string]string{"app": "web"}, Finalizers: []string{"example.com/one"}, CreationTimestamp: metav1.Unix(1e9, 0),
			OwnerReferences: []metav1.OwnerReference{{Name: "web", Controller: &yes}},
		}}
		p.Spec.TerminationGracePeriodSeconds = &grace
		p.Spec.Containers = []corev1.Container{{
			Name: "c", Command: []string{"sleep", "1"}, Ports: []corev1.ContainerPort{{ContainerPort: 80}},
			Resources:     corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("100m")}},
			LivenessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(80)}}},
		}}
		return p
	}
	for _, c := range []struct {
		name   string
		change func(p *corev1.Pod)
		same   bool
	}{
		{"nothing", func(p *corev1.Pod) {}, true},
		{"an empty map for one with an entry", func(p *corev1.Pod) { p.Labels = map[string]string{} }, false},
		{"an empty map for none", func(p *corev1.Pod) { p.Annotations = map[string]string{} }, true}, // it is left out
		{"an empty list for none", func(p *corev1.Pod) { p.Spec.Volumes = []corev1.Volume{} }, true},
		{"null for an empty list", func(p *corev1.Pod) { p.Spec.Containers = nil }, false},
		{"a text", func(p *corev1.Pod) { p.Name = "wep" }, false},
		{"a label's value", func(p *corev1.Pod) { p.Labels["app"] = "wep" }, false},
		{"a label more", func(p *corev1.Pod) { p.Labels["x"] = "y" }, false},
		{"a text in a list", func(p *corev1.Pod) { p.Finalizers[0] += "x" }, false},
		{"a text less in a list", func(p *corev1.Pod) { p.Spec.Containers[0].Command = p.Spec.Containers[0].Command[:1] }, false},
		{"a time", func(p *corev1.Pod) { p.CreationTimestamp.Time = p.CreationTimestamp.Add(time.Second) }, false},
		{"a time in another zone", func(p *corev1.Pod) { p.CreationTimestamp.Time = p.CreationTimestamp.UTC() }, true},
		{"what is pointed to", func(p *corev1.Pod) { *p.OwnerReferences[0].Controller = false }, false},
		{"no pointer", func(p *corev1.Pod) { p.OwnerReferences[0].Controller = nil }, false},
		{"a number", func(p *corev1.Pod) { p.Spec.Containers[0].Ports[0].ContainerPort = 81 }, false},
		{"a long number", func(p *corev1.Pod) { *p.Spec.TerminationGracePeriodSeconds = 1 << 40 }, false},
		{"a boolean", func(p *corev1.Pod) { p.Spec.HostNetwork = true }, false},
		{"an amount", func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Requests["cpu"] = resource.MustParse("101m") }, false},
		{"an amount written otherwise", func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests["cpu"] = *resource.NewMilliQuantity(100, resource.DecimalSI)
		}, true},
		{"a port's name", func(p *corev1.Pod) { p.Spec.Containers[0].LivenessProbe.TCPSocket.Port = intstr.FromString("80") }, false},
		{"another container", func(p *corev1.Pod) { p.Spec.Containers = append(p.Spec.Containers, corev1.Container{}) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := full(), full()
			c.change(b)
			if wire.Same(a, b) != c.same || wire.Same(b, a) != c.same {
				t.Errorf("same: %v and %v, want %v", wire.Same(a, b), wire.Same(b, a), c.same)
			}
		})
	}
	if wire.Same(full(), new(corev1.Node)) {
		t.Error("a pod is the same as a node")
	}
}

func BenchmarkSame(b *testing.B) {
	data := read(b, "pod")
	one, two := new(corev1.Pod), new(corev1.Pod)
	if !wire.Decode(data, one) || !wire.Decode(data, two) {
		b.Fatal("it is not plain")
	}
	for b.Loop() {
		if !wire.Same(&one.Spec, &two.Spec) {
			b.Fatal("it is not the same")
		}
	}
}
