package proxy

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// compile returns what one service wants, in a fixed order. Pure. Services of other proxies, headless ones and those
// that only name something want nothing; what is not valid is left out, because whoever can write to etcd
// could have written it.
func compileService(svc *corev1.Service, eps []*discoveryv1.EndpointSlice, n *nodeInfo) []*frontend {
	if svc.Labels["service.kubernetes.io/service-proxy-name"] != "" || svc.Spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	vips := clusterIPs(svc)
	if len(vips) == 0 {
		return nil
	}
	var frontends []*frontend
	for _, p := range svc.Spec.Ports {
		proto, ok := protocols[p.Protocol]
		if !ok || p.Port < 1 || p.Port > 65535 {
			continue
		}
		b := builder{svc: svc, node: n, backends: backends(eps, p, n)}
		if svc.Spec.SessionAffinity == corev1.ServiceAffinityClientIP {
			b.sticky = affinityID(key{vips[0], proto, uint16(p.Port)})
		}
		for _, ip := range vips {
			if !n.owns(ip) {
				frontends = append(frontends, b.internal(key{ip, proto, uint16(p.Port)}))
			}
		}
		for _, k := range externalKeys(svc, p, proto, n) {
			frontends = append(frontends, b.external(k))
		}
	}
	return frontends
}

var protocols = map[corev1.Protocol]uint8{"": unix.IPPROTO_TCP, corev1.ProtocolTCP: unix.IPPROTO_TCP, corev1.ProtocolUDP: unix.IPPROTO_UDP}

// builder makes the frontends of one port of a service.
type builder struct {
	svc      *corev1.Service
	node     *nodeInfo
	backends []backend
	sticky   uint32 // see frontend
}

func (b builder) internal(k key) *frontend {
	f := &frontend{key: k, owner: name(b.svc), cluster: true, masq: true}
	all := b.all()
	if p := b.svc.Spec.InternalTrafficPolicy; p != nil && *p == corev1.ServiceInternalTrafficPolicyLocal {
		some := len(all) > 0
		if all = choose(local(b.backends), b.node); len(all) == 0 && some {
			f.unserved = ignore
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
	// Clients outside see only the endpoints here, with their own addresses; those inside see all.
	f.masq = false
	here := choose(local(b.backends), b.node)
	b.serve(f, append(slices.Clone(here), filter(all, notIn(here))...), len(here))
	return f
}

// all are the backends for clients that may have every one. With affinity those on this node come first, as in external:
// a remembered slot is to be the same backend for every frontend.
func (b builder) all() []backend {
	all := choose(b.backends, b.node)
	if b.sticky == 0 {
		return all
	}
	others := notIn(choose(local(b.backends), b.node))
	here := func(x backend) bool { return !others(x) }
	return append(filter(all, here), filter(all, others)...)
}

func notIn(these []backend) func(backend) bool {
	in := make(map[netip.AddrPort]bool, len(these))
	for _, x := range these {
		in[x.addr] = true
	}
	return func(x backend) bool { return !in[x.addr] }
}

// serve fills f with backends, of which the first here are for clients outside of the cluster.
func (b builder) serve(f *frontend, all []backend, here int) {
	if len(all) == 0 {
		f.unserved = refuse
		return
	}
	timeout := 0
	if b.sticky != 0 {
		timeout = affinitySeconds(b.svc)
		f.sticky = b.sticky
	}
	f.chain = chainName(len(all), here, timeout, !f.cluster && !f.masq)
	for _, x := range all {
		f.slots = append(f.slots, x.addr)
		if x.here && !slices.Contains(b.node.addrs, x.addr.Addr()) && !slices.Contains(f.hairpin, x.addr.Addr()) {
			f.hairpin = append(f.hairpin, x.addr.Addr())
		}
	}
}

// The bounds of a client's affinity, as the API has them.
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

// clusterIPs are the service's IPv4 cluster IPs that can be one.
func clusterIPs(svc *corev1.Service) []netip.Addr {
	texts := svc.Spec.ClusterIPs
	if len(texts) == 0 {
		texts = []string{svc.Spec.ClusterIP}
	}
	var out []netip.Addr
	for _, s := range texts {
		if a, ok := unicast(s); ok && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// externalKeys are the node ports, load balancer addresses and (where allowed) external IPs of a service's port.
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
	if kind == corev1.ServiceTypeLoadBalancer {
		for _, in := range svc.Status.LoadBalancer.Ingress {
			if in.IPMode != nil && *in.IPMode == corev1.LoadBalancerIPModeProxy {
				continue
			}
			if a, ok := unicast(in.IP); ok && !n.clusterCIDR.Contains(a) {
				add(a, p.Port)
			}
		}
	}
	if n.externalIPs {
		for _, s := range svc.Spec.ExternalIPs {
			if a, ok := unicast(s); ok && !n.clusterCIDR.Contains(a) && !slices.Contains(n.addrs, a) {
				add(a, p.Port)
			}
		}
	}
	return keys
}
