package network

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"gantry/agents/controllers/controller"
	"gantry/agents/internal/loadbalancer"
)

// assign decides the addresses of a Service, those that it has already where they are still right. Pure.
func assign(svc *corev1.Service, in balancing) ([]netip.Addr, *problem) {
	var asked netip.Addr
	if text := svc.Spec.LoadBalancerIP; text != "" {
		a, err := netip.ParseAddr(text)
		if err != nil || !slices.Contains(balancedFamilies(svc), a.Is4()) {
			return nil, &problem{"InvalidAddress", failedEvent, fmt.Sprintf("spec.loadBalancerIP %q is not an address of the Service's IP families", text)}
		}
		asked = a
	}
	if len(in.ranges) > 0 {
		return in.fromRanges(svc, asked)
	}
	return in.fromNodes(svc, asked)
}

// balancedFamilies returns for each IP family of a Service whether it is IPv4.
func balancedFamilies(svc *corev1.Service) (is4 []bool) {
	for _, f := range svc.Spec.IPFamilies {
		is4 = append(is4, f == corev1.IPv4Protocol)
	}
	if len(is4) == 0 {
		return []bool{true}
	}
	return is4
}

// fromRanges gives an address of each family to a Service alone. A family without ranges is left out unless the Service requires it.
func (in balancing) fromRanges(svc *corev1.Service, asked netip.Addr) (out []netip.Addr, _ *problem) {
	taken := in.takenFrom(svc)
	isUsed := func(a netip.Addr) bool { return taken[a] != "" }
	requireAll := svc.Spec.IPFamilyPolicy != nil && *svc.Spec.IPFamilyPolicy == corev1.IPFamilyPolicyRequireDualStack
	families := balancedFamilies(svc)
	for _, is4 := range families {
		if asked.IsValid() && asked.Is4() == is4 {
			if !in.ranges.Contains(asked) {
				return nil, &problem{"AddressNotInRange", failedEvent, fmt.Sprintf("spec.loadBalancerIP %s is not in --load-balancer-addresses (%s)", asked, in.ranges)}
			}
			if by := taken[asked]; by != "" {
				return nil, &problem{"AddressInUse", failedEvent, fmt.Sprintf("spec.loadBalancerIP %s is used by %s", asked, by)}
			}
			out = append(out, asked)
			continue
		}
		if i := slices.IndexFunc(held(svc), func(a netip.Addr) bool { return a.Is4() == is4 && in.ranges.Contains(a) && !isUsed(a) }); i >= 0 {
			out = append(out, held(svc)[i])
			continue
		}
		hasFamily := is4 && in.ranges.Has4() || !is4 && in.ranges.Has6()
		free, ok := in.ranges.NextFree(is4, isUsed)
		switch {
		case ok:
			out = append(out, free)
		case hasFamily:
			return nil, &problem{"NoAddressFree", failedEvent, fmt.Sprintf("every address of --load-balancer-addresses (%s) is in use", in.ranges)}
		case requireAll || len(families) == 1:
			return nil, &problem{"NoAddressFree", failedEvent, fmt.Sprintf("--load-balancer-addresses (%s) has no %s address", in.ranges, familyName(is4))}
		}
	}
	return out, nil
}

func familyName(is4 bool) string {
	if is4 {
		return string(corev1.IPv4Protocol)
	}
	return string(corev1.IPv6Protocol)
}

// takenFrom are the addresses that a Service cannot have, and what uses each: nodes, and Services that take precedence over it.
func (in balancing) takenFrom(svc *corev1.Service) map[netip.Addr]string {
	taken := map[netip.Addr]string{}
	for _, n := range in.nodes {
		for _, a := range nodeAddresses(n) {
			taken[a] = "Node " + n.Name
		}
	}
	has := held(svc)
	for _, other := range in.services {
		if other.UID == svc.UID && controller.KeyOf(other) == controller.KeyOf(svc) {
			continue
		}
		for _, a := range held(other) {
			if !slices.Contains(has, a) || precedes(other, svc) {
				taken[a] = "Service " + controller.KeyOf(other)
			}
		}
		for _, text := range other.Spec.ExternalIPs {
			if a, err := netip.ParseAddr(text); err == nil {
				taken[a] = "Service " + controller.KeyOf(other)
			}
		}
	}
	return taken
}

// precedes returns whether x keeps what both Services have: x of another controller, then the older, then that with the lower UID.
func precedes(x, y *corev1.Service) bool {
	if isOurClass(x) != isOurClass(y) {
		return isOurClass(y)
	}
	return cmp.Or(x.CreationTimestamp.Compare(y.CreationTimestamp.Time), cmp.Compare(x.UID, y.UID), cmp.Compare(controller.KeyOf(x), controller.KeyOf(y))) < 0
}

// fromNodes gives a Service the addresses of the nodes that take traffic. Services share them as long as their ports differ.
func (in balancing) fromNodes(svc *corev1.Service, asked netip.Addr) ([]netip.Addr, *problem) {
	families, has := balancedFamilies(svc), held(svc)
	var out, known []netip.Addr
	for _, n := range in.trafficNodes(svc) {
		out = append(out, nodeAddresses(n)...)
	}
	for _, n := range in.nodes {
		known = append(known, nodeAddresses(n)...)
	}
	otherFamily := func(a netip.Addr) bool { return !slices.Contains(families, a.Is4()) }
	if out = slices.DeleteFunc(out, otherFamily); len(out) == 0 {
		// No node is ready. The addresses stay: the nodes may work nevertheless.
		out = slices.DeleteFunc(slices.Clone(has), func(a netip.Addr) bool { return !slices.Contains(known, a) || otherFamily(a) })
	}
	if asked.IsValid() {
		if !slices.Contains(known, asked) {
			return nil, &problem{"AddressNotInRange", failedEvent, fmt.Sprintf("spec.loadBalancerIP %s is not the address of a node, and --load-balancer-addresses has no ranges", asked)}
		}
		out = []netip.Addr{asked}
	}
	if len(out) == 0 {
		return nil, &problem{"NoNode", unavailableEvent, "There are no available nodes for LoadBalancer"}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	out = slices.Compact(out)
	for _, p := range svc.Spec.Ports {
		if by := in.userOf(p, out, svc); by != "" {
			return nil, &problem{"PortInUse", failedEvent, fmt.Sprintf("port %d/%s of the nodes' addresses is used by %s", p.Port, p.Protocol, by)}
		}
	}
	return out, nil
}

// trafficNodes are the nodes that lead to endpoints of a Service: all that take traffic, or with externalTrafficPolicy Local those of
// them that have a ready endpoint, if any has.
func (in balancing) trafficNodes(svc *corev1.Service) []*corev1.Node {
	all := slices.DeleteFunc(slices.Clone(in.nodes), func(n *corev1.Node) bool { return !loadbalancer.TakesTraffic(n) })
	if svc.Spec.ExternalTrafficPolicy != corev1.ServiceExternalTrafficPolicyLocal {
		return all
	}
	withEndpoint := map[string]bool{}
	for _, s := range in.endpoints {
		for _, e := range s.Endpoints {
			if e.NodeName != nil && (e.Conditions.Ready == nil || *e.Conditions.Ready) {
				withEndpoint[*e.NodeName] = true
			}
		}
	}
	some := slices.DeleteFunc(slices.Clone(all), func(n *corev1.Node) bool { return !withEndpoint[n.Name] })
	if len(some) == 0 {
		return all
	}
	return some
}

// userOf says what uses a port of addresses of nodes in place of svc; "": nothing does.
func (in balancing) userOf(p corev1.ServicePort, addresses []netip.Addr, svc *corev1.Service) string {
	for _, n := range in.nodes {
		if samePort(p, n.Status.DaemonEndpoints.KubeletEndpoint.Port, corev1.ProtocolTCP) {
			return "the kubelet of Node " + n.Name
		}
	}
	for _, s := range in.gateways {
		if slices.ContainsFunc(s.Ports, func(g discoveryv1.EndpointPort) bool {
			return g.Port != nil && samePort(p, *g.Port, corev1.ProtocolTCP)
		}) {
			return "the gateways"
		}
	}
	for _, other := range in.services {
		nodePort := func(o corev1.ServicePort) bool { return samePort(p, o.NodePort, o.Protocol) }
		if samePort(p, other.Spec.HealthCheckNodePort, corev1.ProtocolTCP) || slices.ContainsFunc(other.Spec.Ports, nodePort) {
			return "a node port of Service " + controller.KeyOf(other)
		}
		if controller.KeyOf(other) != controller.KeyOf(svc) && holds(other, p, addresses) && (!holds(svc, p, addresses) || precedes(other, svc)) {
			return "Service " + controller.KeyOf(other)
		}
	}
	return ""
}

func samePort(p corev1.ServicePort, number int32, protocol corev1.Protocol) bool {
	return number == p.Port && cmp.Or(protocol, corev1.ProtocolTCP) == cmp.Or(p.Protocol, corev1.ProtocolTCP)
}

// holds returns whether the status of a Service has the port at one of the addresses. A Service that gets every node's address holds the
// port at all of them: the one it has may be one that a node had before.
func holds(svc *corev1.Service, p corev1.ServicePort, addresses []netip.Addr) bool {
	everywhere := isBalancedHere(svc) && svc.Spec.LoadBalancerIP == ""
	return slices.ContainsFunc(svc.Status.LoadBalancer.Ingress, func(in corev1.LoadBalancerIngress) bool {
		a, err := netip.ParseAddr(in.IP)
		if !everywhere && (err != nil || !slices.Contains(addresses, a)) {
			return false
		}
		if len(in.Ports) == 0 { // written by another controller
			return slices.ContainsFunc(svc.Spec.Ports, func(o corev1.ServicePort) bool { return samePort(p, o.Port, o.Protocol) })
		}
		return slices.ContainsFunc(in.Ports, func(o corev1.PortStatus) bool { return samePort(p, o.Port, o.Protocol) })
	})
}
