package network_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/controllers"
	"gantry/agents/controllers/controllertest"
	"gantry/schema/core"
)

func TestEveryNodeGetsItsOwnRange(t *testing.T) {
	c := controllertest.Start(t, func(cfg *controllers.Config) { cfg.ClusterCIDR = netip.MustParsePrefix("10.244.0.0/22") })
	c.Ready()
	var text strings.Builder
	for i := range 4 {
		fmt.Fprintf(&text, "---\napiVersion: v1\nkind: Node\nmetadata: {name: m%d}\n", i)
	}
	c.Apply(text.String())
	c.Until(func() string {
		used := map[string]bool{}
		without := ""
		for _, n := range controllertest.List[*corev1.Node](c, "", "") {
			if n.Spec.PodCIDR == "" {
				without = n.Name
				continue
			}
			if used[n.Spec.PodCIDR] {
				t.Fatalf("range %s was given out twice", n.Spec.PodCIDR)
			}
			used[n.Spec.PodCIDR] = true
		}
		if len(used) != 4 || !slices.Contains(c.Events(without), "cidrAllocator CIDRNotAvailable") {
			return fmt.Sprintf("four ranges and an event about the fifth node, have %d", len(used))
		}
		return ""
	}, core.Node, core.Event)
}
