package scheduler

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

func filterPorts(state *preFilterState, n *node) ([]string, bool) {
	for _, want := range state.signature.ports {
		for have := range n.ports {
			if want.conflicts(have) {
				return []string{"node(s) didn't have free ports for the requested pod ports"}, false
			}
		}
	}
	return nil, false
}

// hostPort is one port of a node. An empty ip is every address.
type hostPort struct {
	ip       string
	protocol corev1.Protocol
	port     int32
}

// conflicts returns whether two ports can't both be used on one node.
func (p hostPort) conflicts(q hostPort) bool {
	return p.port == q.port && p.protocol == q.protocol && (p.ip == q.ip || p.ip == "" || q.ip == "")
}

// portsOf returns the host ports of the containers that run at the same time: containers and sidecars.
func portsOf(pod *corev1.Pod) []hostPort {
	var all []hostPort
	add := func(containers []corev1.Container, sidecarsOnly bool) {
		for i := range containers {
			c := &containers[i]
			if sidecarsOnly && (c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways) {
				continue
			}
			for _, p := range c.Ports {
				if p.HostPort > 0 {
					all = append(all, hostPort{anyAddress(p.HostIP), protocolOf(p.Protocol), p.HostPort})
				}
			}
		}
	}
	add(pod.Spec.InitContainers, true)
	add(pod.Spec.Containers, false)
	return all
}

func anyAddress(ip string) string {
	if slices.Contains([]string{"0.0.0.0", "::"}, ip) {
		return ""
	}
	return ip
}

func protocolOf(p corev1.Protocol) corev1.Protocol {
	if p == "" {
		return corev1.ProtocolTCP
	}
	return p
}
