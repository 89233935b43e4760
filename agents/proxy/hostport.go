package proxy

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"gantry/schema/pods"
)

// podOwnerPrefix distinguishes the owner names of pods from those of services, which contain no blank.
const podOwnerPrefix = "pod "

func podName(pod *corev1.Pod) string { return podOwnerPrefix + pod.Namespace + "/" + pod.Name }

// hostPorts returns the host ports that a pod has now: none before it has an address, when it is terminal, and with
// hostNetwork. An unready pod keeps its ports. Pure.
func hostPorts(pod *corev1.Pod) []corev1.ContainerPort {
	if pod.Spec.HostNetwork || pods.IsTerminal(pod) || len(podAddresses(pod)) == 0 {
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

// podAddresses are a pod's addresses of both families.
func podAddresses(pod *corev1.Pod) (out []string) {
	for _, ip := range pod.Status.PodIPs {
		out = append(out, ip.IP)
	}
	if len(out) == 0 && pod.Status.PodIP != "" {
		out = append(out, pod.Status.PodIP)
	}
	return out
}

// compilePod returns the frontends of a pod of this node in the node's family, in a fixed order, and its invalid host ports. Clients keep
// their addresses: the pod is on this node, so its replies pass through it anyway. Pure.
func compilePod(pod *corev1.Pod, n *nodeInfo) (frontends []*frontend, rejected []conflict) {
	var to netip.Addr
	for _, text := range podAddresses(pod) {
		if a, ok := n.unicast(text); ok {
			to = a
			break
		}
	}
	if pod.Spec.NodeName != n.name || !n.clusterCIDR.Contains(to) || n.gateways[to] {
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
			rejected = append(rejected, conflict{key: key{a, proto, uint16(p.HostPort)}, loser: podName(pod), reason: reason})
		}
		for _, a := range addrs {
			f := &frontend{
				key: key{a, proto, uint16(p.HostPort)}, owner: podName(pod), chain: chainName(1, 1, 0, false),
				slots: []netip.AddrPort{netip.AddrPortFrom(to, uint16(p.ContainerPort))},
			}
			if a.IsLoopback() {
				f.masq, f.source = true, n.addrs[0]
			} else {
				f.hairpin = []netip.Addr{to}
			}
			frontends = append(frontends, f)
		}
	}
	return frontends, rejected
}
