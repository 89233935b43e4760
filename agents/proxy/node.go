package proxy

import (
	"net"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// node is what compiling needs to know of this node and the cluster.
type nodeInfo struct {
	name        string
	zone        string
	addrs       []netip.Addr
	clusterCIDR netip.Prefix
	nodePorts   [2]int
	externalIPs bool
	// gateways are the bridges' addresses of all nodes: no endpoint may be one.
	gateways map[netip.Addr]bool
	// local tells that this host has an address besides addrs. nil: none.
	isLocal func(netip.Addr) bool
}

// owns tells that an address is a node's or a pod's, and so cannot be a cluster IP.
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

// unicast parses an IPv4 address that packets of a service may carry: no loopback, link-local, multicast,
// unspecified or broadcast one (CVE-2021-25737).
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

// hostAddrs are the addresses a hostIP stands for, or why there are none. Only this host's own may be named: with any
// other a pod would take over somebody else's address (compare CVE-2020-8554).
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

// isHostAddr tells that an interface of this host has the address now.
func isHostAddr(a netip.Addr) bool {
	all, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(all, func(x net.Addr) bool {
		p, err := netip.ParsePrefix(x.String())
		return err == nil && p.Addr() == a
	})
}
