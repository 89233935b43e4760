package announce

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"maps"
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

// Duty is an address that a node announces while none of the nodes ahead of it answers; without such nodes it is the owner.
type Duty struct {
	Address netip.Addr
	Ahead   []Peer
}

// Peer is a node that comes before another in the announcing of an address.
type Peer struct {
	Name string
	// Address is where the node answers echo requests; not valid where it is not known.
	Address netip.Addr
}

// standbys is how many nodes follow the owner of an address in case of its death.
const standbys = 2

// Duties returns the addresses that a node announces or may have to, sorted: those of load balancers that are not an address of a node,
// where the node is the owner or a standby. Pure.
func Duties(node string, services []Service, nodes []*corev1.Node) (duties []Duty) {
	byName := map[string]*corev1.Node{}
	for _, n := range nodes {
		byName[n.Name] = n
	}
	for a, names := range announcers(services, nodes) {
		ranked := Ranked(a, names)
		i := slices.Index(ranked, node)
		if i < 0 || i > standbys {
			continue
		}
		d := Duty{Address: a}
		for _, name := range ranked[:i] {
			d.Ahead = append(d.Ahead, Peer{name, peerAddress(byName[name], a)})
		}
		duties = append(duties, d)
	}
	slices.SortFunc(duties, func(x, y Duty) int { return x.Address.Compare(y.Address) })
	return duties
}

// peerAddress returns a node's internal address of the family of a, else one of the other.
func peerAddress(n *corev1.Node, a netip.Addr) (found netip.Addr) {
	for _, x := range n.Status.Addresses {
		ip, err := netip.ParseAddr(x.Address)
		if err != nil || x.Type != corev1.NodeInternalIP || !canHave(ip) {
			continue
		}
		if ip.Is4() == a.Is4() {
			return ip
		}
		found = ip
	}
	return found
}

// announcers returns the addresses of load balancers and the names of the nodes that may announce each: those with endpoints of one of its
// Services, all where one of them takes endpoints of other nodes.
func announcers(services []Service, nodes []*corev1.Node) map[netip.Addr][]string {
	ofNodes := map[netip.Addr]bool{}
	for _, n := range nodes {
		for _, a := range n.Status.Addresses {
			if ip, err := netip.ParseAddr(a.Address); err == nil {
				ofNodes[ip] = true
			}
		}
	}
	candidates, out := Candidates(nodes), map[netip.Addr][]string{}
	for _, svc := range services {
		if svc.Spec.Type != corev1.ServiceTypeLoadBalancer || !meta.IsStatusConditionTrue(svc.Status.Conditions, loadbalancer.AddressAssigned) {
			continue
		}
		for _, in := range svc.Status.LoadBalancer.Ingress {
			a, err := netip.ParseAddr(in.IP)
			isProxied := in.IPMode != nil && *in.IPMode == corev1.LoadBalancerIPModeProxy
			if err != nil || isProxied || ofNodes[a] || !canHave(a) {
				continue
			}
			names := candidates
			if svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
				names = withEndpoints(candidates, svc.Slices, a)
			}
			for _, name := range names {
				if !slices.Contains(out[a], name) {
					out[a] = append(out[a], name)
				}
			}
		}
	}
	return out
}

// canHave returns whether an address may be given to a host: a unicast address that is not link-local.
func canHave(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.Is4In6() || a.Zone() != "" {
		return false
	}
	return a.Is6() || (a.As4()[0] != 0 && a.As4()[0] < 240)
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

// withEndpoints returns the names of nodes that have a ready endpoint of an address's family; all of them when none has.
func withEndpoints(names []string, eps []*discoveryv1.EndpointSlice, a netip.Addr) []string {
	has := map[string]bool{}
	for _, s := range eps {
		if a.Is6() != (s.AddressType == discoveryv1.AddressTypeIPv6) {
			continue
		}
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

// Ranked returns the nodes in the order in which they announce an address, the owner first: by the hash of both, from high to low (rendezvous
// hashing). A node that comes or goes moves only the addresses that it gets or had. Pure.
func Ranked(a netip.Addr, nodes []string) []string {
	hash := map[string]uint64{}
	for _, n := range nodes {
		sum := sha256.Sum256([]byte(n + " " + a.String()))
		hash[n] = binary.BigEndian.Uint64(sum[:8])
	}
	return slices.SortedFunc(maps.Keys(hash), func(x, y string) int { return cmp.Or(cmp.Compare(hash[y], hash[x]), cmp.Compare(x, y)) })
}
