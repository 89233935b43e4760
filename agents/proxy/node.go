package proxy

import (
	"net"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/internal/nft"
)

// nodeInfo is what compiling needs of this node and the cluster in one family.
type nodeInfo struct {
	name        string
	zone        string
	family      *nft.Family
	addrs       []netip.Addr
	clusterCIDR netip.Prefix
	// dual: the cluster has the other family too.
	dual        bool
	nodePorts   [2]int
	externalIPs bool
	// gateways are the addresses of all nodes' pod bridges, which are not valid endpoints.
	gateways map[netip.Addr]bool
	// isLocal returns whether an address besides addrs is this host's. nil: none is.
	isLocal func(netip.Addr) bool
}

// owns returns whether an address is this node's or in the range of pods, and so not a valid cluster IP.
func (n *nodeInfo) owns(a netip.Addr) bool {
	return n.clusterCIDR.Contains(a) || slices.Contains(n.addrs, a)
}

func (n *nodeInfo) isNodePort(p int32) bool {
	lo, hi := int32(n.nodePorts[0]), int32(n.nodePorts[1])
	if hi == 0 {
		lo, hi = 30000, 32767
	}
	return p >= lo && p <= hi
}

// unicast parses an address of the family that may be a service's or an endpoint's.
func (n *nodeInfo) unicast(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	return a, err == nil && isUnicast(a) && nft.FamilyOf(a) == n.family
}

// isUnicast returns false for loopback, link-local, multicast, unspecified and broadcast addresses (CVE-2021-25737), and for an IPv4
// address in the form of IPv6.
func isUnicast(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.Is4In6() || a.Zone() != "" {
		return false
	}
	return a.Is6() || (a.As4()[0] != 0 && a.As4()[0] < 240)
}

// internalIPs are the node's internal addresses of both families.
func internalIPs(n *corev1.Node) []netip.Addr {
	var out []netip.Addr
	for _, a := range n.Status.Addresses {
		if ip, err := netip.ParseAddr(a.Address); err == nil && isUnicast(ip) && a.Type == corev1.NodeInternalIP {
			out = append(out, ip)
		}
	}
	return out
}

var familyNames = map[*nft.Family]string{nft.IPv4: "IPv4", nft.IPv6: "IPv6"}

// hostAddrs returns the family's addresses that a hostIP stands for, or the reason why it is invalid. It must be an address of this host:
// with any other, a pod could take over a foreign address (compare CVE-2020-8554).
func (n *nodeInfo) hostAddrs(hostIP string) (addrs []netip.Addr, reason string) {
	if hostIP == "" {
		return n.addrs, ""
	}
	a, err := netip.ParseAddr(hostIP)
	switch {
	case err != nil:
		return nil, "its hostIP is not an address"
	case nft.FamilyOf(a) != n.family && n.dual:
		return nil, ""
	case nft.FamilyOf(a) != n.family:
		return nil, "its hostIP is not an " + familyNames[n.family] + " address"
	case a.IsUnspecified():
		return n.addrs, ""
	case a.IsLoopback() && a.Is6():
		return nil, "IPv6 has no host ports on loopback addresses"
	case a.IsLoopback() && len(n.addrs) == 0:
		return nil, "this node has no address yet"
	case a.IsLoopback():
		return []netip.Addr{a}, ""
	}
	if !isUnicast(a) || (!slices.Contains(n.addrs, a) && (n.isLocal == nil || !n.isLocal(a))) {
		return nil, "its hostIP is not an address of this node"
	}
	return []netip.Addr{a}, ""
}

// isHostAddr returns whether an interface of this host has the address now.
func isHostAddr(a netip.Addr) bool {
	all, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(all, func(x net.Addr) bool {
		p, err := netip.ParsePrefix(x.String())
		return err == nil && p.Addr() == a
	})
}
