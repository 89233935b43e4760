package network

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/internal/bridge"
	"gantry/agents/internal/nft"
)

// plan is what this node's network should be.
type plan struct {
	// podCIDRs are this node's, one for each family, the first one of the node's first family.
	podCIDRs []netip.Prefix
	// routes are those to the other nodes' pods: podCIDR -> the node's address.
	routes map[netip.Prefix]netip.Addr
	// faults are the reasons why nodes were left out.
	faults []error
}

// errNoCIDR: the node IPAM controller has not assigned this node a range yet.
var errNoCIDR = errors.New("the node has no podCIDR yet")

// makePlan returns what the network of node self should be. A node whose podCIDR is outside of the cluster's range, or overlaps an
// older node's, is left out: otherwise a user who may write a Node could redirect other pods' packets. Pure.
func makePlan(nodes map[string]*corev1.Node, self string, clusterCIDRs []netip.Prefix) (plan, error) {
	p := plan{routes: map[netip.Prefix]netip.Addr{}}
	own := nodes[self]
	if own == nil || len(bridge.PodCIDRs(own)) == 0 {
		return p, errNoCIDR
	}
	p.podCIDRs, p.faults = podCIDRs(own, clusterCIDRs)
	if len(p.podCIDRs) == 0 {
		return plan{}, errors.Join(p.faults...)
	}
	taken := map[netip.Prefix]string{}
	for _, cidr := range p.podCIDRs {
		taken[cidr] = self
	}
	for _, n := range byAge(nodes) {
		if n.Name == self {
			continue
		}
		cidrs, faults := podCIDRs(n, clusterCIDRs)
		p.faults = append(p.faults, faults...)
		for _, cidr := range cidrs {
			if other := overlapping(taken, cidr); other != "" {
				p.faults = append(p.faults, fmt.Errorf("node %s: podCIDR %s is in use by node %s", n.Name, cidr, other))
				continue
			}
			taken[cidr] = n.Name
			ip := internalIP(n, nft.FamilyOf(cidr.Addr()))
			switch {
			case !ip.IsValid(): // its kubelet has not reported the address yet
			case ip == internalIP(own, nft.FamilyOf(ip)):
				p.faults = append(p.faults, fmt.Errorf("node %s: its address %s is this node's", n.Name, ip))
			default:
				p.routes[cidr] = ip
			}
		}
	}
	return p, nil
}

// podCIDRs returns a node's ranges, one for each family, and why others are left out.
func podCIDRs(n *corev1.Node, clusterCIDRs []netip.Prefix) (cidrs []netip.Prefix, faults []error) {
	for _, text := range bridge.PodCIDRs(n) {
		cidr, err := netip.ParsePrefix(text)
		if err == nil {
			err = bridge.Check(cidr)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("node %s: %w", n.Name, err))
			continue
		}
		f := nft.FamilyOf(cidr.Addr())
		switch clusterCIDR := f.First(clusterCIDRs); {
		case !clusterCIDR.IsValid():
			faults = append(faults, fmt.Errorf("node %s: the cluster has no range of the family of podCIDR %s", n.Name, cidr))
		case cidr.Bits() < clusterCIDR.Bits() || !clusterCIDR.Contains(cidr.Addr()):
			faults = append(faults, fmt.Errorf("node %s: podCIDR %s is not in the cluster's %s", n.Name, cidr, clusterCIDR))
		case f.First(cidrs).IsValid():
			faults = append(faults, fmt.Errorf("node %s: podCIDR %s is the second one of its family", n.Name, cidr))
		default:
			cidrs = append(cidrs, cidr.Masked())
		}
	}
	return cidrs, faults
}

func overlapping(taken map[netip.Prefix]string, cidr netip.Prefix) (node string) {
	for p, n := range taken {
		if p.Overlaps(cidr) && (node == "" || n < node) {
			node = n
		}
	}
	return node
}

func byAge(nodes map[string]*corev1.Node) []*corev1.Node {
	out := make([]*corev1.Node, 0, len(nodes))
	for _, n := range nodes {
		out = append(out, n)
	}
	slices.SortFunc(out, func(x, y *corev1.Node) int {
		return cmp.Or(x.CreationTimestamp.Compare(y.CreationTimestamp.Time), cmp.Compare(x.Name, y.Name))
	})
	return out
}

// internalIP returns a node's first internal address of a family that can be a next hop; the zero value when there is none.
func internalIP(n *corev1.Node, f *nft.Family) netip.Addr {
	for _, a := range n.Status.Addresses {
		ip, err := netip.ParseAddr(a.Address)
		if a.Type == corev1.NodeInternalIP && err == nil && ip.IsGlobalUnicast() && nft.FamilyOf(ip) == f {
			return ip
		}
	}
	return netip.Addr{}
}

// internalIPs returns the next hops of both families.
func internalIPs(n *corev1.Node) [2]netip.Addr {
	return [2]netip.Addr{internalIP(n, nft.IPv4), internalIP(n, nft.IPv6)}
}
