package trace

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"gantry/agents/admin/snapshot"
	"gantry/schema/core"
	"gantry/schema/discovery"
)

// endpoint is one endpoint of a port of a Service.
type endpoint struct {
	slice           *snapshot.Entry
	addr            netip.AddrPort
	pod             string // its name, in the slice's namespace; "": the slice names no pod
	node            string
	ready, draining bool
	nodes, zones    []string // topology hints
}

func addressType(a netip.Addr) discoveryv1.AddressType {
	if a.Is4() {
		return discoveryv1.AddressTypeIPv4
	}
	return discoveryv1.AddressTypeIPv6
}

// leadsTo tells whether slices of a type have endpoints of a route: those of the family of its address, or of both where it has none.
func (r route) leadsTo(t discoveryv1.AddressType) bool {
	return t != discoveryv1.AddressTypeFQDN && (!r.to.IsValid() || addressType(r.to) == t)
}

// slicesOf are the EndpointSlices of a Service.
func (t *tracer) slicesOf(svc *snapshot.Entry) (all []*snapshot.Entry) {
	for _, e := range t.All(discovery.EndpointSlice, svc.Object.GetNamespace()) {
		if e.Object.GetLabels()[discoveryv1.LabelServiceName] == svc.Object.GetName() {
			all = append(all, e)
		}
	}
	return all
}

// endpoints are the slices of a route's Service and the endpoints of its port, by address. Duplicates are left out: the ready one counts.
func (t *tracer) endpoints(r route) (all []*snapshot.Entry, endpoints []endpoint) {
	all = t.slicesOf(r.service)
	for _, e := range all {
		s := e.Object.(*discoveryv1.EndpointSlice)
		if !r.leadsTo(s.AddressType) {
			continue
		}
		for _, number := range slicePorts(s, r.port) {
			for i := range s.Endpoints {
				ep := &s.Endpoints[i]
				if r.host != "" && (ep.Hostname == nil || *ep.Hostname != r.host) && !dashed(ep, r.host) {
					continue
				}
				if p, ok := readEndpoint(e, ep, number); ok {
					endpoints = append(endpoints, p)
				}
			}
		}
	}
	slices.SortStableFunc(endpoints, func(a, b endpoint) int {
		if c := a.addr.Compare(b.addr); c != 0 || a.ready == b.ready {
			return c
		}
		if a.ready {
			return -1
		}
		return 1
	})
	return all, slices.CompactFunc(endpoints, func(a, b endpoint) bool { return a.addr == b.addr })
}

// slicePorts are the numbers that a slice has for a Service's port. A headless Service's slice may have none: clients know the port.
func slicePorts(s *discoveryv1.EndpointSlice, p *corev1.ServicePort) (numbers []uint16) {
	if p.Port == 0 && len(s.Ports) == 0 {
		return []uint16{0}
	}
	for i := range s.Ports {
		sp := &s.Ports[i]
		name, protocol := "", corev1.ProtocolTCP
		if sp.Name != nil {
			name = *sp.Name
		}
		if sp.Protocol != nil && *sp.Protocol != "" {
			protocol = *sp.Protocol
		}
		same := protocol == p.Protocol || p.Protocol == "" && protocol == corev1.ProtocolTCP
		if name == p.Name && same && sp.Port != nil && *sp.Port > 0 && *sp.Port <= 65535 {
			numbers = append(numbers, uint16(*sp.Port))
		}
	}
	return numbers
}

func readEndpoint(slice *snapshot.Entry, ep *discoveryv1.Endpoint, port uint16) (p endpoint, ok bool) {
	if len(ep.Addresses) == 0 {
		return p, false
	}
	a, err := netip.ParseAddr(ep.Addresses[0])
	if err != nil || addressType(a) != slice.Object.(*discoveryv1.EndpointSlice).AddressType {
		return p, false
	}
	c := ep.Conditions
	p = endpoint{slice: slice, addr: netip.AddrPortFrom(a, port), ready: c.Ready == nil || *c.Ready}
	serving := p.ready
	if c.Serving != nil {
		serving = *c.Serving
	}
	p.draining = !p.ready && serving && c.Terminating != nil && *c.Terminating
	if ep.TargetRef != nil && ep.TargetRef.Kind == core.Pod.Kind {
		p.pod = ep.TargetRef.Name
	}
	if ep.NodeName != nil {
		p.node = *ep.NodeName
	}
	if ep.Hints != nil {
		for _, h := range ep.Hints.ForNodes {
			p.nodes = append(p.nodes, h.Name)
		}
		for _, h := range ep.Hints.ForZones {
			p.zones = append(p.zones, h.Name)
		}
	}
	return p, true
}

// name is "Pod default/web-1", or the address where the slice names no pod.
func (p endpoint) name() string {
	if p.pod == "" {
		return p.addr.String()
	}
	return core.Pod.Kind + " " + p.slice.Object.GetNamespace() + "/" + p.pod
}

// chosen are the endpoints that get connections on this machine, as a proxy chooses: the ready ones, or of these the ones hinted for this node,
// else for its zone; without a ready one, those that are draining. On a machine that is no node, hints and policies do not count.
func (t *tracer) chosen(all []endpoint, svc *corev1.Service, external bool) []endpoint {
	internal := svc.Spec.InternalTrafficPolicy
	local := keep(all, func(p endpoint) bool { return p.node == t.node })
	switch {
	case t.node == "":
		return available(all)
	case !external && internal != nil && *internal == corev1.ServiceInternalTrafficPolicyLocal:
		return t.near(available(local))
	case external && svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal:
		first, others := t.near(available(local)), t.near(available(all))
		return append(first, keep(others, func(p endpoint) bool {
			return !slices.ContainsFunc(first, func(x endpoint) bool { return x.addr == p.addr })
		})...)
	}
	return t.near(available(all))
}

func available(all []endpoint) []endpoint {
	if ready := keep(all, func(p endpoint) bool { return p.ready }); len(ready) > 0 {
		return ready
	}
	return keep(all, func(p endpoint) bool { return p.draining })
}

// near are the endpoints whose hints are for this node, else for its zone, where all have hints and one is; else all.
func (t *tracer) near(all []endpoint) []endpoint {
	zone := ""
	if e := t.Get(core.Node, "", t.node); e != nil {
		zone = e.Object.GetLabels()[corev1.LabelTopologyZone]
	}
	for _, by := range []struct {
		want  string
		hints func(endpoint) []string
	}{
		{t.node, func(p endpoint) []string { return p.nodes }},
		{zone, func(p endpoint) []string { return p.zones }},
	} {
		near := keep(all, func(p endpoint) bool { return slices.Contains(by.hints(p), by.want) })
		everyone := !slices.ContainsFunc(all, func(p endpoint) bool { return len(by.hints(p)) == 0 })
		if by.want != "" && everyone && len(near) > 0 && all[0].ready {
			return near
		}
	}
	return all
}

func keep(all []endpoint, f func(endpoint) bool) (some []endpoint) {
	for _, p := range all {
		if f(p) {
			some = append(some, p)
		}
	}
	return some
}

// showSlices adds the slices with how many of their endpoints are ready, and returns the endpoints that are available.
func (t *tracer) showSlices(r route, all []*snapshot.Entry, endpoints []endpoint) []endpoint {
	if len(all) == 0 {
		t.add(3, false, r.service, "no EndpointSlice has the label %s=%s", discoveryv1.LabelServiceName, r.service.Object.GetName())
	}
	for _, e := range all {
		s := e.Object.(*discoveryv1.EndpointSlice)
		if s.AddressType == discoveryv1.AddressTypeFQDN {
			t.add(3, true, e, "EndpointSlice %s is of %s: only addresses are served", s.Name, s.AddressType)
		}
		if !r.leadsTo(s.AddressType) {
			continue
		}
		in := keep(endpoints, func(p endpoint) bool { return p.slice == e })
		ready := len(keep(in, func(p endpoint) bool { return p.ready }))
		switch draining := len(keep(in, func(p endpoint) bool { return p.draining })); {
		case len(s.Endpoints) == 0:
			t.add(3, false, e, "EndpointSlice %s has no endpoint", s.Name)
		case len(in) == 0:
			t.add(3, false, e, "EndpointSlice %s: no endpoint for %s", s.Name, portName(r.port))
		case ready == 0 && draining > 0:
			t.add(3, false, e, "EndpointSlice %s: none of %d endpoints is ready, %d still serve while they end", s.Name, len(in), draining)
		default:
			t.add(3, ready > 0, e, "EndpointSlice %s: %d of %d endpoints are ready", s.Name, ready, len(in))
		}
	}
	return available(endpoints)
}

// published are the addresses that the name of a headless Service, or of an endpoint of it, has; sorted.
func (t *tracer) published(svc *snapshot.Entry, host string) (all []netip.Addr) {
	notReady := svc.Object.(*corev1.Service).Spec.PublishNotReadyAddresses
	for _, e := range t.slicesOf(svc) {
		s := e.Object.(*discoveryv1.EndpointSlice)
		for i := range s.Endpoints {
			ep := &s.Endpoints[i]
			p, ok := readEndpoint(e, ep, 0)
			if ok && (p.ready || notReady) && (host == "" || ep.Hostname != nil && *ep.Hostname == host || dashed(ep, host)) {
				all = append(all, p.addr.Addr())
			}
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}
