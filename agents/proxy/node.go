package proxy

import (
	"net"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// nodeInfo is what compiling needs of this node and the cluster.
type nodeInfo struct {
	name        string
	zone        string
	addrs       []netip.Addr
	clusterCIDR netip.Prefix
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

// unicast parses an IPv4 address that may be a service's or an endpoint's. ok is false for loopback, link-local, multicast,
// unspecified and broadcast addresses (CVE-2021-25737).
func unicast(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.As4()[0] == 0 || a.As4()[0] >= 240 {
		return netip.Addr{}, false
	}
	return a, true
}

func internalIPs(n *corev1.Node) []netip.Addr {
	var out []netip.Addr
	for _, a := range n.Status.Addresses {
		if ip, ok := unicast(a.Address); ok && a.Type == corev1.NodeInternalIP {
			out = append(out, ip)
		}
	}
	return out
}

// hostAddrs returns the addresses that a hostIP stands for, or the reason why it is invalid. It must be an address of this host:
// with any other, a pod could take over a foreign address (compare CVE-2020-8554).
func (n *nodeInfo) hostAddrs(hostIP string) (addrs []netip.Addr, reason string) {
	if hostIP == "" || hostIP == "0.0.0.0" {
		return n.addrs, ""
	}
	a, err := netip.ParseAddr(hostIP)
	switch {
	case err != nil || !a.Is4():
		return nil, "its hostIP is not an IPv4 address"
	case a.IsLoopback() && len(n.addrs) == 0:
		return nil, "this node has no address yet"
	case a.IsLoopback():
		return []netip.Addr{a}, ""
	}
	if _, ok := unicast(hostIP); !ok || (!slices.Contains(n.addrs, a) && (n.isLocal == nil || !n.isLocal(a))) {
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
