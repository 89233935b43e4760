package network

import (
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestKubeDNSOfOthersStays checks that a Service that another name server has put in place of ours is not changed.
func TestKubeDNSOfOthersStays(t *testing.T) {
	address := netip.MustParseAddr("10.96.0.10")
	for _, tc := range []struct {
		name   string
		change func(*corev1.Service)
		want   int // actions
	}{
		{"as made", func(*corev1.Service) {}, 0},
		{"other ports", func(s *corev1.Service) { s.Spec.Ports = s.Spec.Ports[:1] }, 1},
		{"another's", func(s *corev1.Service) {
			s.Spec.Ports, s.Labels = s.Spec.Ports[:1], map[string]string{"k8s-app": "kube-dns"}
		}, 0},
	} {
		have := kubeDNSService(address)
		tc.change(have)
		if got := planKubeDNS(address, have); len(got) != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}
