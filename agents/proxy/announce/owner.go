package announce

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"gantry/agents/internal/loadbalancer"
)

// Service is a Service with its slices.
type Service struct {
	*corev1.Service
	Slices []*discoveryv1.EndpointSlice
}

// Owned returns the addresses that a node announces, sorted: those of load balancers that are not an address of a node, where Owner
// chooses it. Pure.
func Owned(node string, services []Service, nodes []*corev1.Node) (out []netip.Addr) {
	ofNodes := map[netip.Addr]bool{}
	for _, n := range nodes {
		for _, a := range n.Status.Addresses {
			if ip, err := netip.ParseAddr(a.Address); err == nil {
				ofNodes[ip] = true
			}
		}
	}
	candidates := Candidates(nodes)
	for _, svc := range services {
		if svc.Spec.Type != corev1.ServiceTypeLoadBalancer || !meta.IsStatusConditionTrue(svc.Status.Conditions, loadbalancer.AddressAssigned) {
			continue
		}
		names := candidates
		if svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
			names = withEndpoints(candidates, svc.Slices)
		}
		for _, in := range svc.Status.LoadBalancer.Ingress {
			a, err := netip.ParseAddr(in.IP)
			isProxied := in.IPMode != nil && *in.IPMode == corev1.LoadBalancerIPModeProxy
			if err != nil || isProxied || ofNodes[a] || !canHave(a) || Owner(a, names) != node || slices.Contains(out, a) {
				continue
			}
			out = append(out, a)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out
}

// canHave returns whether an address may be given to a host: an IPv4 unicast address.
func canHave(a netip.Addr) bool {
	return a.Is4() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsMulticast() && a.As4()[0] != 0 && a.As4()[0] < 240
}

// Candidates returns the names of the nodes that may own addresses, sorted: those that are ready and not excluded from load balancers.
// When none is ready, all that are not excluded: they may work nevertheless. Pure.
func Candidates(nodes []*corev1.Node) []string {
	var ready, all []string
	for _, n := range nodes {
		if loadbalancer.IsExcluded(n) {
			continue
		}
		all = append(all, n.Name)
		if loadbalancer.TakesTraffic(n) {
			ready = append(ready, n.Name)
		}
	}
	if len(ready) > 0 {
		all = ready
	}
	slices.Sort(all)
	return all
}

// withEndpoints returns the names of nodes that have a ready endpoint; all of them when none has.
func withEndpoints(names []string, eps []*discoveryv1.EndpointSlice) []string {
	has := map[string]bool{}
	for _, s := range eps {
		for _, e := range s.Endpoints {
			if e.NodeName != nil && (e.Conditions.Ready == nil || *e.Conditions.Ready) {
				has[*e.NodeName] = true
			}
		}
	}
	some := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !has[n] })
	if len(some) == 0 {
		return names
	}
	return some
}

// Owner returns which of the nodes announces an address: the one with the highest hash of both (rendezvous hashing). A node that comes or
// goes moves only the addresses that it gets or had. "" where there is no node. Pure.
func Owner(a netip.Addr, nodes []string) (owner string) {
	var highest uint64
	for _, n := range nodes {
		sum := sha256.Sum256([]byte(n + " " + a.String()))
		if h := binary.BigEndian.Uint64(sum[:8]); owner == "" || h > highest || (h == highest && n < owner) {
			owner, highest = n, h
		}
	}
	return owner
}
