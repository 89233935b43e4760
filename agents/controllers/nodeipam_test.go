package controllers

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"gantry/schema/core"
)

func TestEveryNodeGetsItsOwnRange(t *testing.T) {
	c := start(t, func(cfg *Config) { cfg.ClusterCIDR = netip.MustParsePrefix("10.244.0.0/22") })
	c.ready()
	var text strings.Builder
	for i := range 4 {
		fmt.Fprintf(&text, "---\napiVersion: v1\nkind: Node\nmetadata: {name: m%d}\n", i)
	}
	c.apply(text.String())
	c.until(func() string {
		used := map[string]bool{}
		without := ""
		for _, n := range list[*corev1.Node](c, "", "") {
			if n.Spec.PodCIDR == "" {
				without = n.Name
				continue
			}
			if used[n.Spec.PodCIDR] {
				t.Fatalf("range %s was given out twice", n.Spec.PodCIDR)
			}
			used[n.Spec.PodCIDR] = true
		}
		if len(used) != 4 || !slices.Contains(c.events(without), "cidrAllocator CIDRNotAvailable") {
			return fmt.Sprintf("four ranges and an event about the fifth node, have %d", len(used))
		}
		return ""
	}, core.Node, core.Event)
}
