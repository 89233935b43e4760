package pods

import corev1 "k8s.io/api/core/v1"

// HostPort is a port of a node that a pod uses. Equal values are the same port.
type HostPort struct {
	IP       string // "": every address
	Protocol corev1.Protocol
	Port     int32
}

// hostPortOf returns the port of the node that a container's port uses; ok is false where it uses none.
func hostPortOf(p *corev1.ContainerPort) (port HostPort, ok bool) {
	if p.HostPort <= 0 {
		return HostPort{}, false
	}
	port = HostPort{IP: p.HostIP, Protocol: p.Protocol, Port: p.HostPort}
	if port.IP == "0.0.0.0" || port.IP == "::" {
		port.IP = ""
	}
	if port.Protocol == "" {
		port.Protocol = corev1.ProtocolTCP
	}
	return port, true
}

// HostPorts returns the ports of the node that a pod uses: those of its main containers and sidecars. A port of an init container that
// ends before the others start is not one. Upstream: k8s.io/kubernetes/pkg/scheduler/util.GetHostPorts.
func HostPorts(spec *corev1.PodSpec) []HostPort {
	var all []HostPort
	for c := range LongRunning(spec) {
		for i := range c.Ports {
			if p, ok := hostPortOf(&c.Ports[i]); ok {
				all = append(all, p)
			}
		}
	}
	return all
}

// ConflictsWith returns whether two pods can't use both ports on one node: an address conflicts with itself and with every address.
// Upstream: k8s.io/kube-scheduler/framework.HostPortInfo.CheckConflict.
func (p HostPort) ConflictsWith(q HostPort) bool {
	return p.Port == q.Port && p.Protocol == q.Protocol && (p.IP == q.IP || p.IP == "" || q.IP == "")
}
