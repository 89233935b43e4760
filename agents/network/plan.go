package network

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/internal/bridge"
)

// plan is what this node's network should be.
type plan struct {
	podCIDR netip.Prefix
	// routes are those to the other nodes' pods: podCIDR -> the node's address.
	routes map[netip.Prefix]netip.Addr
	// faults are the reasons why nodes were left out.
	faults []error
}

// errNoCIDR: the node IPAM controller has not assigned this node a range yet.
var errNoCIDR = errors.New("the node has no podCIDR yet")

// makePlan returns what the network of node self should be. A node whose podCIDR is outside of the cluster's range, or overlaps an
// older node's, is left out: otherwise a user who may write a Node could redirect other pods' packets. Pure.
func makePlan(nodes map[string]*corev1.Node, self string, clusterCIDR netip.Prefix) (plan, error) {
	p := plan{routes: map[netip.Prefix]netip.Addr{}}
	own := nodes[self]
	if own == nil || own.Spec.PodCIDR == "" {
		return p, errNoCIDR
	}
	var err error
	if p.podCIDR, err = podCIDR(own, clusterCIDR); err != nil {
		return p, err
	}
	taken := map[netip.Prefix]string{p.podCIDR: self}
	for _, n := range byAge(nodes) {
		if n.Name == self || n.Spec.PodCIDR == "" {
			continue
		}
		cidr, err := podCIDR(n, clusterCIDR)
		if err != nil {
			p.faults = append(p.faults, err)
			continue
		}
		if other := overlapping(taken, cidr); other != "" {
			p.faults = append(p.faults, fmt.Errorf("node %s: podCIDR %s is in use by node %s", n.Name, cidr, other))
			continue
		}
		taken[cidr] = n.Name
		ip := internalIP(n)
		switch {
		case !ip.IsValid(): // its kubelet has not reported the address yet
		case ip == internalIP(own):
			p.faults = append(p.faults, fmt.Errorf("node %s: its address %s is this node's", n.Name, ip))
		default:
			p.routes[cidr] = ip
		}
	}
	return p, nil
}

func podCIDR(n *corev1.Node, clusterCIDR netip.Prefix) (netip.Prefix, error) {
	cidr, err := netip.ParsePrefix(n.Spec.PodCIDR)
	if err == nil {
		err = bridge.Check(cidr)
	}
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("node %s: %w", n.Name, err)
	}
	if cidr.Bits() < clusterCIDR.Bits() || !clusterCIDR.Contains(cidr.Addr()) {
		return netip.Prefix{}, fmt.Errorf("node %s: podCIDR %s is not in the cluster's %s", n.Name, cidr, clusterCIDR)
	}
	return cidr.Masked(), nil
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

// internalIP returns a node's first internal IPv4 address that can be a next hop; the zero value when there is none.
func internalIP(n *corev1.Node) netip.Addr {
	for _, a := range n.Status.Addresses {
		ip, err := netip.ParseAddr(a.Address)
		if a.Type == corev1.NodeInternalIP && err == nil && ip.Is4() && ip.IsGlobalUnicast() {
			return ip
		}
	}
	return netip.Addr{}
}
