package proxy

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"gantry/agents/internal/nft"
)

// backend is one endpoint of one port of a service.
type backend struct {
	addr    netip.AddrPort
	isLocal bool // on this node
	ready   bool
	// draining: terminating and still serving.
	draining bool
	// forNodes and forZones are its topology hints.
	forNodes, forZones []string
}

var addressTypes = map[*nft.Family]discoveryv1.AddressType{nft.IPv4: discoveryv1.AddressTypeIPv4, nft.IPv6: discoveryv1.AddressTypeIPv6}

// backends returns the node's family's endpoints of one port, sorted and without duplicates; invalid addresses are left out. Pure.
func backends(eps []*discoveryv1.EndpointSlice, p corev1.ServicePort, n *nodeInfo) []backend {
	byAddr := map[netip.AddrPort]backend{}
	for _, s := range eps {
		if s.AddressType != addressTypes[n.family] {
			continue
		}
		for _, port := range slicePorts(s, p) {
			for i := range s.Endpoints {
				b, ok := newBackend(&s.Endpoints[i], port, n)
				if was, twice := byAddr[b.addr]; !ok || (twice && (was.ready || !b.ready)) {
					continue // a duplicate: the ready one counts
				}
				byAddr[b.addr] = b
			}
		}
	}
	out := make([]backend, 0, len(byAddr))
	for _, b := range byAddr {
		out = append(out, b)
	}
	slices.SortFunc(out, compareBackends)
	return out
}

// slicePorts returns the port numbers that a slice has for a service's port.
func slicePorts(s *discoveryv1.EndpointSlice, p corev1.ServicePort) []uint16 {
	var out []uint16
	for _, sp := range s.Ports {
		name, proto := "", corev1.ProtocolTCP
		if sp.Name != nil {
			name = *sp.Name
		}
		if sp.Protocol != nil && *sp.Protocol != "" {
			proto = *sp.Protocol
		}
		if name != p.Name || protocols[proto] != protocols[p.Protocol] || sp.Port == nil || *sp.Port < 1 || *sp.Port > 65535 {
			continue
		}
		out = append(out, uint16(*sp.Port))
	}
	return out
}

func newBackend(e *discoveryv1.Endpoint, port uint16, n *nodeInfo) (backend, bool) {
	if len(e.Addresses) == 0 {
		return backend{}, false
	}
	a, ok := n.unicast(e.Addresses[0])
	if !ok || n.gateways[a] {
		return backend{}, false
	}
	c := e.Conditions
	b := backend{
		addr:    netip.AddrPortFrom(a, port),
		isLocal: e.NodeName != nil && *e.NodeName == n.name,
		ready:   c.Ready == nil || *c.Ready,
	}
	serving := b.ready
	if c.Serving != nil {
		serving = *c.Serving
	}
	b.draining = !b.ready && serving && c.Terminating != nil && *c.Terminating
	if e.Hints != nil {
		for _, h := range e.Hints.ForNodes {
			b.forNodes = append(b.forNodes, h.Name)
		}
		for _, h := range e.Hints.ForZones {
			b.forZones = append(b.forZones, h.Name)
		}
	}
	return b, true
}

// choose returns the backends that get traffic: the ready ones, or of these the ones hinted for this node, else for its zone, if
// all have hints and any matches; without a ready one, those that are draining. Pure.
func choose(all []backend, n *nodeInfo) []backend {
	ready := filter(all, func(b backend) bool { return b.ready })
	if len(ready) == 0 {
		return filter(all, func(b backend) bool { return b.draining })
	}
	if near := hinted(ready, func(b backend) []string { return b.forNodes }, n.name); len(near) > 0 {
		return near
	}
	if near := hinted(ready, func(b backend) []string { return b.forZones }, n.zone); len(near) > 0 {
		return near
	}
	return ready
}

func hinted(ready []backend, hints func(backend) []string, want string) []backend {
	if want == "" || slices.ContainsFunc(ready, func(b backend) bool { return len(hints(b)) == 0 }) {
		return nil
	}
	return filter(ready, func(b backend) bool { return slices.Contains(hints(b), want) })
}

func localBackends(all []backend) []backend {
	return filter(all, func(b backend) bool { return b.isLocal })
}

func filter(all []backend, keep func(backend) bool) []backend {
	var out []backend
	for _, b := range all {
		if keep(b) {
			out = append(out, b)
		}
	}
	return out
}

func compareBackends(x, y backend) int {
	return cmp.Or(x.addr.Addr().Compare(y.addr.Addr()), cmp.Compare(x.addr.Port(), y.addr.Port()))
}
