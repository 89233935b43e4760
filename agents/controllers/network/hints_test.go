package network

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"gantry/agents/controllers/plantest"
)

func TestHints(t *testing.T) {
	zones := func(node string) string {
		return map[string]string{"n1": "east"}[node]
	}
	distributed := func(how string) *corev1.Service {
		return makeService(func(s *corev1.Service) { s.Spec.TrafficDistribution = &how })
	}
	onNode := func(name string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Spec.NodeName = name } }
	tests := []struct {
		name string
		svc  *corev1.Service
		pod  *corev1.Pod
		want string
	}{
		{"none is asked for", makeService(), plantest.MakePod("a", onNode("n1")), ""},
		{"same zone", distributed("PreferSameZone"), plantest.MakePod("a", onNode("n1")), "zone east"},
		{"close", distributed("PreferClose"), plantest.MakePod("a", onNode("n1")), "zone east"},
		{"same node", distributed("PreferSameNode"), plantest.MakePod("a", onNode("n1")), "node n1 zone east"},
		{"a node without zone", distributed("PreferSameNode"), plantest.MakePod("a", onNode("n2")), "node n2"},
		{"no zone", distributed("PreferClose"), plantest.MakePod("a", onNode("n2")), ""},
		{"not ready", distributed("PreferSameNode"), plantest.MakePod("a", onNode("n1"), plantest.NotReady), ""},
		{"a value that is unknown", distributed("PreferFar"), plantest.MakePod("a", onNode("n1")), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := wantedEndpoints(tt.svc, []*corev1.Pod{tt.pod}, discoveryv1.AddressTypeIPv4, zones)[0].endpoint
			var got []string
			if e.Hints != nil {
				for _, n := range e.Hints.ForNodes {
					got = append(got, "node "+n.Name)
				}
				for _, z := range e.Hints.ForZones {
					got = append(got, "zone "+z.Name)
				}
			}
			if text := strings.Join(got, " "); text != tt.want {
				t.Errorf("hints %q, want %q", text, tt.want)
			}
		})
	}
}
