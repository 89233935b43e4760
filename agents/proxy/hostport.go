package proxy

import (
	"net"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"gantry/schema/pods"
)

// podMark begins the name of a pod among owners of addresses: a service's name has no blank.
const podMark = "pod "

func podName(pod *corev1.Pod) string { return podMark + pod.Namespace + "/" + pod.Name }

// hostPorts are the ports of the host that a pod has now: none before it has an address, after it has ended, and
// where its network is the host's. An unready pod has its ports: nobody else could answer there. Pure.
func hostPorts(pod *corev1.Pod) []corev1.ContainerPort {
	if pod.Spec.HostNetwork || pods.IsTerminal(pod) || pod.Status.PodIP == "" {
		return nil
	}
	var out []corev1.ContainerPort
	for c := range pods.LongRunning(&pod.Spec) {
		for _, p := range c.Ports {
			if p.HostPort != 0 {
				out = append(out, p)
			}
		}
	}
	return out
}

// compilePod returns what a pod of this node wants, in a fixed order, and what of it cannot be. Clients keep their
// addresses: the pod is here, so its answers come back through this host. Pure.
func compilePod(pod *corev1.Pod, n *node) (fronts []*front, left []clash) {
	to, ok := unicast(pod.Status.PodIP)
	if !ok || pod.Spec.NodeName != n.name || !n.clusterCIDR.Contains(to) || n.gateways[to] {
		return nil, nil
	}
	for _, p := range hostPorts(pod) {
		proto, ok := protocols[p.Protocol]
		if !ok || p.HostPort < 1 || p.HostPort > 65535 || p.ContainerPort < 1 || p.ContainerPort > 65535 {
			continue
		}
		addrs, reason := n.hostAddrs(p.HostIP)
		if reason != "" {
			a, _ := netip.ParseAddr(p.HostIP)
			left = append(left, clash{key: key{a, proto, uint16(p.HostPort)}, loser: podName(pod), reason: reason})
		}
		for _, a := range addrs {
			f := &front{
				key: key{a, proto, uint16(p.HostPort)}, owner: podName(pod), chain: chainName(1, 1, 0, false),
				slots: []netip.AddrPort{netip.AddrPortFrom(to, uint16(p.ContainerPort))},
			}
			if a.IsLoopback() {
				f.masq, f.source = true, n.addrs[0]
			} else {
				f.hairpin = []netip.Addr{to}
			}
			fronts = append(fronts, f)
		}
	}
	return fronts, left
}

// hostAddrs are the addresses a hostIP stands for, or why there are none. Only this host's own may be named: with any
// other a pod would take over somebody else's address (compare CVE-2020-8554).
func (n *node) hostAddrs(hostIP string) (addrs []netip.Addr, reason string) {
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
	if _, ok := unicast(hostIP); !ok || (!slices.Contains(n.addrs, a) && (n.local == nil || !n.local(a))) {
		return nil, "its hostIP is not an address of this node"
	}
	return []netip.Addr{a}, ""
}

// onThisHost tells that an interface of this host has the address now.
func onThisHost(a netip.Addr) bool {
	all, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(all, func(x net.Addr) bool {
		p, err := netip.ParsePrefix(x.String())
		return err == nil && p.Addr() == a
	})
}
