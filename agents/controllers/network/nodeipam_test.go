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
	c := controllertest.Start(t, func(cfg *controllers.Config) {
		cfg.ClusterCIDRs = []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16"), netip.MustParsePrefix("fd00:244::/62")}
	})
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
			if cidrs := n.Spec.PodCIDRs; len(cidrs) != 2 || cidrs[0] != n.Spec.PodCIDR || !strings.HasSuffix(cidrs[0], ".0/24") || !strings.HasSuffix(cidrs[1], "::/64") {
				t.Fatalf("ranges %v of %s: want one of each family, IPv4 first", cidrs, n.Name)
			}
			for _, p := range n.Spec.PodCIDRs {
				if used[p] {
					t.Fatalf("range %s was given out twice", p)
				}
				used[p] = true
			}
		}
		if len(used) != 8 || !slices.Contains(c.Events(without), "cidrAllocator CIDRNotAvailable") {
			return fmt.Sprintf("ranges of four nodes and an event about the fifth, have %d", len(used))
		}
		return ""
	}, core.Node, core.Event)
}
