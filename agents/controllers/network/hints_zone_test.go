package network_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"gantry/agents/controllers/controllertest"
	"gantry/registry"
)

// TestHintsFollowTheNodesZone checks that the hints of an endpoint change with the zone of its node, also when nothing else changes.
func TestHintsFollowTheNodesZone(t *testing.T) {
	inBubble(t, func(t *testing.T, c *controllertest.Cluster, _ *gateways) {
		c.Ready()
		c.Apply(`
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {selector: {app: web}, trafficDistribution: PreferSameNode, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: default, labels: {app: web}}
spec: {containers: [{name: c, image: web}]}
`)
		for _, zone := range []string{"z1", "west"} {
			if _, err := registry.For[*corev1.Node](c.Registry).Modify(t.Context(), "", "n1", func(n *corev1.Node) error {
				n.Labels = map[string]string{corev1.LabelTopologyZone: zone}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second) // of the bubble: every queue is empty then
			want := &discoveryv1.EndpointHints{ForNodes: []discoveryv1.ForNode{{Name: "n1"}}, ForZones: []discoveryv1.ForZone{{Name: zone}}}
			var got []*discoveryv1.EndpointHints
			for _, s := range controllertest.List[*discoveryv1.EndpointSlice](c, "default", "kubernetes.io/service-name=web") {
				for _, e := range s.Endpoints {
					got = append(got, e.Hints)
				}
			}
			if diff := cmp.Diff([]*discoveryv1.EndpointHints{want}, got); diff != "" {
				t.Errorf("in zone %s (-want +got):\n%s", zone, diff)
			}
		}
	})
}
