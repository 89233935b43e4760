package network

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"gantry/agents/controllers/controller"
	"gantry/schema/pods"
)

// endpoint is a pod behind a Service, with the ports at which it serves.
type endpoint struct {
	ports    []discoveryv1.EndpointPort
	endpoint discoveryv1.Endpoint
}

// wantedEndpoints are the endpoints of a service in one address family, by pod name. zone gives the zone of a node.
func wantedEndpoints(svc *corev1.Service, podList []*corev1.Pod, family discoveryv1.AddressType, zone func(node string) string) []endpoint {
	var out []endpoint
	podList = slices.SortedFunc(slices.Values(podList), controller.ByName[*corev1.Pod])
	for _, p := range podList {
		address := addressOf(p, family)
		if pods.IsTerminal(p) || address == "" {
			continue
		}
		serving, terminating := pods.IsReady(p), p.DeletionTimestamp != nil
		ready := svc.Spec.PublishNotReadyAddresses || (serving && !terminating)
		e := discoveryv1.Endpoint{
			Addresses:  []string{address},
			Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: p.UID},
		}
		if node := p.Spec.NodeName; node != "" {
			e.NodeName = &node
			if z := zone(node); z != "" {
				e.Zone = &z
			}
		}
		if host := p.Spec.Hostname; host != "" && p.Spec.Subdomain == svc.Name {
			e.Hostname = &host
		}
		e.Hints = hintsOf(svc, &e)
		out = append(out, endpoint{portsOf(svc, p), e})
	}
	return out
}

// addressOf is the pod's address of a family, "" where it has none yet.
func addressOf(p *corev1.Pod, family discoveryv1.AddressType) string {
	ips := p.Status.PodIPs
	if len(ips) == 0 && p.Status.PodIP != "" {
		ips = []corev1.PodIP{{IP: p.Status.PodIP}}
	}
	for _, ip := range ips {
		if a, err := netip.ParseAddr(ip.IP); err == nil && a.Is4() == (family == discoveryv1.AddressTypeIPv4) {
			return ip.IP
		}
	}
	return ""
}

// familiesOf are the address families of a service; where it has none that of its cluster IP, or IPv4.
func familiesOf(svc *corev1.Service) []discoveryv1.AddressType {
	var out []discoveryv1.AddressType
	for _, f := range svc.Spec.IPFamilies {
		if f == corev1.IPv4Protocol || f == corev1.IPv6Protocol {
			out = append(out, discoveryv1.AddressType(f))
		}
	}
	if len(out) > 0 {
		return out
	}
	if a, err := netip.ParseAddr(svc.Spec.ClusterIP); err == nil && a.Is6() {
		return []discoveryv1.AddressType{discoveryv1.AddressTypeIPv6}
	}
	return []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4}
}

// portsOf resolves the service's ports for a pod; a named port that the pod does not have is left out.
func portsOf(svc *corev1.Service, p *corev1.Pod) []discoveryv1.EndpointPort {
	out := []discoveryv1.EndpointPort{}
	for i := range svc.Spec.Ports {
		sp := &svc.Spec.Ports[i]
		port, ok := targetPort(p, sp)
		if !ok {
			continue
		}
		name, protocol := sp.Name, cmp.Or(sp.Protocol, corev1.ProtocolTCP)
		out = append(out, discoveryv1.EndpointPort{Name: &name, Protocol: &protocol, Port: &port, AppProtocol: sp.AppProtocol})
	}
	return out
}

func targetPort(p *corev1.Pod, sp *corev1.ServicePort) (int32, bool) {
	if sp.TargetPort.Type == intstr.Int {
		return cmp.Or(sp.TargetPort.IntVal, sp.Port), true
	}
	containers := slices.Clone(p.Spec.Containers)
	for _, c := range p.Spec.InitContainers {
		if pods.IsSidecar(&c) {
			containers = append(containers, c)
		}
	}
	protocol := cmp.Or(sp.Protocol, corev1.ProtocolTCP)
	for _, c := range containers {
		for _, cp := range c.Ports {
			if cp.Name == sp.TargetPort.StrVal && cmp.Or(cp.Protocol, corev1.ProtocolTCP) == protocol {
				return cp.ContainerPort, true
			}
		}
	}
	return 0, false
}

// portKey is the same for the same ports in any order.
func portKey(ports []discoveryv1.EndpointPort) string {
	keys := make([]string, len(ports))
	for i, p := range ports {
		keys[i] = strings.Join([]string{ptr.Deref(p.Name, ""), string(ptr.Deref(p.Protocol, corev1.ProtocolTCP)), strconv.Itoa(int(ptr.Deref(p.Port, 0))), ptr.Deref(p.AppProtocol, "")}, "\x00")
	}
	slices.Sort(keys)
	return strings.Join(keys, "\x01")
}

// endpointKey is different for each endpoint of a slice.
func endpointKey(e *discoveryv1.Endpoint) string {
	uid := ""
	if e.TargetRef != nil {
		uid = string(e.TargetRef.UID)
	}
	return strings.Join(e.Addresses, ",") + "\x00" + uid
}
