package proxy

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// compileService returns the frontends of one service in the node's family, in a fixed order. Pure. Services of other proxies, headless ones and those of
// type ExternalName have none. Invalid ports and addresses are left out: values in etcd are not trusted.
func compileService(svc *corev1.Service, eps []*discoveryv1.EndpointSlice, n *nodeInfo) []*frontend {
	if svc.Labels["service.kubernetes.io/service-proxy-name"] != "" || svc.Spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	vips := clusterIPs(svc, n)
	if len(vips) == 0 {
		return nil
	}
	var frontends []*frontend
	balanced := loadBalancerIPs(svc, n)
	sources, limited := allowedSources(svc, n)
	for _, p := range svc.Spec.Ports {
		proto, ok := protocols[p.Protocol]
		if !ok || p.Port < 1 || p.Port > 65535 {
			continue
		}
		b := builder{svc: svc, node: n, backends: backends(eps, p, n)}
		if svc.Spec.SessionAffinity == corev1.ServiceAffinityClientIP {
			b.affinityID = affinityID(key{vips[0], proto, uint16(p.Port)})
		}
		for _, ip := range vips {
			if !n.owns(ip) {
				frontends = append(frontends, b.internal(key{ip, proto, uint16(p.Port)}))
			}
		}
		for _, k := range externalKeys(svc, p, proto, n) {
			f := b.external(k)
			if k.port == uint16(p.Port) && slices.Contains(balanced, k.addr) {
				f.sources, f.restricted = withOwnAddress(sources, k.addr, n), limited
			}
			frontends = append(frontends, f)
		}
	}
	return frontends
}

var protocols = map[corev1.Protocol]uint8{"": unix.IPPROTO_TCP, corev1.ProtocolTCP: unix.IPPROTO_TCP, corev1.ProtocolUDP: unix.IPPROTO_UDP, corev1.ProtocolSCTP: unix.IPPROTO_SCTP}

// builder makes the frontends of one port of a service.
type builder struct {
	svc        *corev1.Service
	node       *nodeInfo
	backends   []backend
	affinityID uint32 // see frontend
}

func (b builder) internal(k key) *frontend {
	f := &frontend{key: k, owner: name(b.svc), cluster: true, masq: true}
	all := b.all()
	if p := b.svc.Spec.InternalTrafficPolicy; p != nil && *p == corev1.ServiceInternalTrafficPolicyLocal {
		some := len(all) > 0
		if all = choose(localBackends(b.backends), b.node); len(all) == 0 && some {
			f.unserved = ignoreChain
			return f
		}
	}
	b.serve(f, all, len(all))
	return f
}

func (b builder) external(k key) *frontend {
	f := &frontend{key: k, owner: name(b.svc), masq: true}
	all := b.all()
	if b.svc.Spec.ExternalTrafficPolicy != corev1.ServiceExternalTrafficPolicyLocal {
		b.serve(f, all, len(all))
		return f
	}
	// Clients outside get only this node's endpoints and keep their addresses; those inside get all.
	f.masq = false
	local := choose(localBackends(b.backends), b.node)
	b.serve(f, append(slices.Clone(local), filter(all, notIn(local))...), len(local))
	return f
}

// all returns the backends for clients that are not restricted to this node's. With affinity this node's come first, as in
// external, so that a slot's number means the same backend for every frontend.
func (b builder) all() []backend {
	all := choose(b.backends, b.node)
	if b.affinityID == 0 {
		return all
	}
	others := notIn(choose(localBackends(b.backends), b.node))
	isLocal := func(x backend) bool { return !others(x) }
	return append(filter(all, isLocal), filter(all, others)...)
}

func notIn(these []backend) func(backend) bool {
	in := make(map[netip.AddrPort]bool, len(these))
	for _, x := range these {
		in[x.addr] = true
	}
	return func(x backend) bool { return !in[x.addr] }
}

// serve fills f with backends; clients outside of the cluster get the first local of them.
func (b builder) serve(f *frontend, all []backend, local int) {
	if len(all) == 0 {
		f.unserved = refuseChain
		return
	}
	timeout := 0
	if b.affinityID != 0 {
		timeout = affinitySeconds(b.svc)
		f.affinityID = b.affinityID
	}
	f.chain = chainName(len(all), local, timeout, !f.cluster && !f.masq)
	for _, x := range all {
		f.slots = append(f.slots, x.addr)
		if x.isLocal && !slices.Contains(b.node.addrs, x.addr.Addr()) && !slices.Contains(f.hairpin, x.addr.Addr()) {
			f.hairpin = append(f.hairpin, x.addr.Addr())
		}
	}
}

// Seconds of client affinity: the API's default and upper bound.
const (
	defaultAffinity = 10800
	maxAffinity     = 86400
)

func affinitySeconds(svc *corev1.Service) int {
	c := svc.Spec.SessionAffinityConfig
	if c == nil || c.ClientIP == nil || c.ClientIP.TimeoutSeconds == nil {
		return defaultAffinity
	}
	if s := int(*c.ClientIP.TimeoutSeconds); s >= 1 && s <= maxAffinity {
		return s
	}
	return defaultAffinity
}

func name(svc *corev1.Service) string { return svc.Namespace + "/" + svc.Name }

// clusterIPs returns the service's valid cluster IPs of the node's family.
func clusterIPs(svc *corev1.Service, n *nodeInfo) []netip.Addr {
	texts := svc.Spec.ClusterIPs
	if len(texts) == 0 {
		texts = []string{svc.Spec.ClusterIP}
	}
	var out []netip.Addr
	for _, s := range texts {
		if a, ok := n.unicast(s); ok && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// externalKeys returns the keys of a service's port on node ports, load balancer addresses and (where allowed) external IPs.
func externalKeys(svc *corev1.Service, p corev1.ServicePort, proto uint8, n *nodeInfo) []key {
	var keys []key
	add := func(a netip.Addr, port int32) {
		if k := (key{a, proto, uint16(port)}); !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	kind := svc.Spec.Type
	if (kind == corev1.ServiceTypeNodePort || kind == corev1.ServiceTypeLoadBalancer) && n.isNodePort(p.NodePort) {
		for _, a := range n.addrs {
			add(a, p.NodePort)
		}
	}
	for _, a := range loadBalancerIPs(svc, n) {
		add(a, p.Port)
	}
	if n.externalIPs {
		for _, s := range svc.Spec.ExternalIPs {
			if a, ok := n.unicast(s); ok && !n.clusterCIDR.Contains(a) && !slices.Contains(n.addrs, a) {
				add(a, p.Port)
			}
		}
	}
	return keys
}
