package stream

import (
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestKubeletAddress(t *testing.T) {
	const away, home = "10.0.0.9:6443", "127.0.0.1:6443"
	for _, tt := range []struct {
		address string
		port    int32
		own     string // where the gateway listens
		want    string
	}{
		{"10.0.0.1", 0, away, "10.0.0.1:10250"},
		{"10.0.0.1", 6443, away, "10.0.0.1:6443"},
		{"fd00::1", 0, away, "[fd00::1]:10250"},
		{"::ffff:10.0.0.1", 0, away, "10.0.0.1:10250"},
		{"10.0.0.9", 0, away, "10.0.0.9:10250"},
		{"10.0.0.9", 6443, away, ""},
		{"::ffff:10.0.0.9", 6443, away, ""},
		{"127.0.0.1", 0, away, ""},
		{"127.0.0.1", 0, home, "127.0.0.1:10250"},
		{"127.0.0.1", 6443, home, ""},
		{"127.9.9.9", 6443, home, ""},
		{"::1", 0, away, ""},
		{"10.96.0.1", 0, away, ""},
		{"10.0.0.1", -1, away, ""},
		{"10.0.0.1", 65536 + 443, away, ""},
		{"169.254.169.254", 0, home, ""},
		{"::ffff:169.254.169.254", 0, home, ""},
		{"224.0.0.1", 0, home, ""},
		{"255.255.255.255", 0, home, ""},
		{"0.0.0.0", 0, home, ""},
		{"::", 0, home, ""},
		{"fe80::1", 0, away, ""},
		{"fe80::1%eth0", 0, away, ""},
		{"node.example.com", 0, away, ""},
	} {
		k := kubelets{own: func() netip.AddrPort { return netip.MustParseAddrPort(tt.own) }, services: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/16"), netip.MustParsePrefix("fd00:96::/112")}}
		node := &corev1.Node{Status: corev1.NodeStatus{
			Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: tt.address}},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: tt.port}},
		}}
		got, err := k.address(node)
		if (err == nil) != (tt.want != "") || err == nil && got.String() != tt.want {
			t.Errorf("%s port %d from %s: got %v %v, want %q", tt.address, tt.port, tt.own, got, err, tt.want)
		}
	}
}
