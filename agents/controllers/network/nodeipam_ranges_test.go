package network

import (
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestFreeCIDR(t *testing.T) {
	node := func(cidrs ...string) *corev1.Node { return &corev1.Node{Spec: corev1.NodeSpec{PodCIDRs: cidrs}} }
	tests := []struct {
		name    string
		cluster string
		bits    int
		nodes   []*corev1.Node
		want    string
	}{
		{"first", "10.244.0.0/16", 24, nil, "10.244.0.0/24"},
		{"second", "10.244.0.0/16", 24, []*corev1.Node{node("10.244.0.0/24")}, "10.244.1.0/24"},
		{"the lowest that is free", "10.244.0.0/16", 24, []*corev1.Node{node("10.244.0.0/24"), node("10.244.2.0/24")}, "10.244.1.0/24"},
		{"a larger one by hand", "10.244.0.0/16", 24, []*corev1.Node{node("10.244.0.0/22")}, "10.244.4.0/24"},
		{"a smaller one by hand", "10.244.0.0/16", 24, []*corev1.Node{node("10.244.0.128/25")}, "10.244.1.0/24"},
		{"rubbish", "10.244.0.0/16", 24, []*corev1.Node{node("x", "")}, "10.244.0.0/24"},
		{"full", "10.244.0.0/23", 24, []*corev1.Node{node("10.244.0.0/24"), node("10.244.1.0/24")}, ""},
		{"not on a boundary", "10.244.3.7/16", 24, nil, "10.244.0.0/24"},
		{"IPv6", "fd00:10:244::/56", 64, []*corev1.Node{node("fd00:10:244::/64")}, "fd00:10:244:1::/64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := freeCIDR(netip.MustParsePrefix(tt.cluster), tt.bits, tt.nodes)
			if ok != (tt.want != "") || ok && got.String() != tt.want {
				t.Errorf("got %s %v, want %q", got, ok, tt.want)
			}
		})
	}
}
