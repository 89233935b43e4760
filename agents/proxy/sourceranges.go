package proxy

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/internal/nft"
)

// loadBalancerIPs returns the valid addresses of the node's family on which a load balancer delivers packets unchanged.
func loadBalancerIPs(svc *corev1.Service, n *nodeInfo) (out []netip.Addr) {
	if svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return nil
	}
	for _, in := range svc.Status.LoadBalancer.Ingress {
		if in.IPMode != nil && *in.IPMode == corev1.LoadBalancerIPModeProxy {
			continue // the balancer sends to node ports
		}
		if a, ok := n.unicast(in.IP); ok && !n.clusterCIDR.Contains(a) && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// allowedSources returns the networks whose clients may use the addresses of a load balancer, without overlaps; limited is false
// where all may. Invalid networks, and those of the other family, allow nobody. Pure.
func allowedSources(svc *corev1.Service, n *nodeInfo) (sources []netip.Prefix, limited bool) {
	texts := svc.Spec.LoadBalancerSourceRanges
	if annotation := strings.TrimSpace(svc.Annotations[corev1.AnnotationLoadBalancerSourceRangesKey]); len(texts) == 0 && annotation != "" {
		texts = strings.Split(annotation, ",")
	}
	if len(texts) == 0 || svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return nil, false
	}
	var all []netip.Prefix
	for _, text := range texts {
		if p, err := netip.ParsePrefix(strings.TrimSpace(text)); err == nil && nft.FamilyOf(p.Addr()) == n.family {
			all = append(all, p.Masked())
		}
	}
	slices.SortFunc(all, func(x, y netip.Prefix) int { return x.Bits() - y.Bits() })
	for _, p := range all {
		// Networks overlap only where one contains the other, and the wider come first.
		if !slices.ContainsFunc(sources, func(wider netip.Prefix) bool { return wider.Contains(p.Addr()) }) {
			sources = append(sources, p)
		}
	}
	if len(sources) > 0 && sources[0].Bits() == 0 {
		return nil, false
	}
	slices.SortFunc(sources, func(x, y netip.Prefix) int { return x.Addr().Compare(y.Addr()) })
	return sources, true
}

// withOwnAddress adds a load balancer's address to networks that allow this node: where the node has the address, its own packets
// to it come from it. Pure.
func withOwnAddress(sources []netip.Prefix, a netip.Addr, n *nodeInfo) []netip.Prefix {
	has := func(x netip.Addr) bool {
		return slices.ContainsFunc(sources, func(p netip.Prefix) bool { return p.Contains(x) })
	}
	if has(a) || !slices.ContainsFunc(n.addrs, has) {
		return sources
	}
	return append(slices.Clone(sources), netip.PrefixFrom(a, a.BitLen()))
}

// lastAddr returns the highest address of a network.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}
