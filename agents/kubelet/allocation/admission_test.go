package allocation

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/podstate/podstatetest"
)

func TestHostPortConflicts(t *testing.T) {
	with := func(ip string, port int32) *corev1.Pod {
		p := podstatetest.PodOf(corev1.RestartPolicyAlways, "a")
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{HostPort: port, HostIP: ip, Protocol: corev1.ProtocolTCP}}
		return p
	}
	initial := with("", 0)
	initial.Spec.InitContainers = []corev1.Container{{Name: "init", Ports: []corev1.ContainerPort{{HostPort: 80, Protocol: corev1.ProtocolTCP}}}}
	for _, tc := range []struct {
		name string
		a, b *corev1.Pod
		want string
	}{
		{"other ports", with("", 80), with("", 81), ""},
		{"same port", with("", 80), with("", 80), "80/TCP"},
		{"other addresses", with("192.0.2.1", 80), with("192.0.2.2", 80), ""},
		{"one on all", with("192.0.2.1", 80), with("0.0.0.0", 80), "80/TCP"},
		{"no host port", with("", 0), with("", 0), ""},
		{"of an init container that ends", initial, with("", 80), ""},
	} {
		if got := hostPortTaken(tc.a, []*corev1.Pod{tc.b}); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
