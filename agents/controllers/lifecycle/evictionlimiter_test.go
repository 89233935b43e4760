package lifecycle

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestEvictionLimits(t *testing.T) {
	nodes := func(ready, down int, zone string) (out []*corev1.Node) {
		in := func(n *corev1.Node) { n.Labels = map[string]string{corev1.LabelTopologyZone: zone} }
		for i := range ready {
			out = append(out, makeNode(fmt.Sprint(zone, "r", i), corev1.ConditionTrue, in))
		}
		for i := range down {
			out = append(out, makeNode(fmt.Sprint(zone, "d", i), corev1.ConditionUnknown, in))
		}
		return out
	}
	tests := []struct {
		name string
		all  []*corev1.Node
		want float64
	}{
		{"one of many", nodes(5, 1, "a"), 0.1},
		{"one of two", nodes(1, 1, "a"), 0.1},
		{"the only node", nodes(0, 1, "a"), -1},
		{"every node", append(nodes(0, 3, "a"), nodes(0, 3, "b")...), -1},
		{"most of a small cluster", nodes(2, 3, "a"), 0},
		{"most of a zone of a large cluster", append(nodes(2, 3, "a"), nodes(60, 0, "b")...), 0.01},
		{"a whole zone", append(nodes(0, 3, "a"), nodes(3, 0, "b")...), 0.1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			candidate := tt.all[slices.IndexFunc(tt.all, func(n *corev1.Node) bool { return !nodeReady(n) })]
			if got := zoneLimit(zoneOf(candidate), candidate.Name, tt.all); float64(got) != tt.want {
				t.Errorf("limit %v, want %v", got, tt.want)
			}
		})
	}
}
