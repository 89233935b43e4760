package announce

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"gantry/agents/internal/loadbalancer"
)

// balanced is a Service that got addresses from Gantry's controller.
func balanced(addresses ...string) Service {
	s := &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer}}
	for _, a := range addresses {
		s.Status.LoadBalancer.Ingress = append(s.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: a})
	}
	s.Status.Conditions = []metav1.Condition{{Type: loadbalancer.AddressAssigned, Status: metav1.ConditionTrue}}
	return Service{Service: s}
}

// node parses "name address" with flags behind: "unready", "excluded", "leaving".
func node(text string) *corev1.Node {
	fields := strings.Fields(text)
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fields[0]}}
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: fields[1]}}
	ready := corev1.ConditionTrue
	for _, f := range fields[2:] {
		switch f {
		case "unready":
			ready = corev1.ConditionUnknown
		case "excluded":
			n.Labels = map[string]string{corev1.LabelNodeExcludeBalancers: ""}
		case "leaving":
			n.Spec.Taints = []corev1.Taint{{Key: "ToBeDeletedByClusterAutoscaler"}}
		}
	}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}
	return n
}

// owned are the addresses of duties without a node ahead.
func owned(duties []Duty) (out []netip.Addr) {
	for _, d := range duties {
		if len(d.Ahead) == 0 {
			out = append(out, d.Address)
		}
	}
	return out
}

// Standbys follow the owner, as many as there may be.
func TestStandbys(t *testing.T) {
	var nodes []*corev1.Node
	var names []string
	for _, text := range []string{"n1 192.0.2.1", "n2 192.0.2.2", "n3 192.0.2.3", "n4 192.0.2.4"} {
		n := node(text)
		n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: "2001:db8::" + n.Name[1:]})
		nodes, names = append(nodes, n), append(names, n.Name)
	}
	for address, network := range map[string]string{"192.0.2.100": "192.0.2.", "2001:db8::100": "2001:db8::"} {
		a := netip.MustParseAddr(address)
		ranked := Ranked(a, names)
		for i, name := range ranked {
			duties := Duties(name, []Service{balanced(address)}, nodes)
			if i > standbys {
				if len(duties) > 0 {
					t.Errorf("%s, number %d, has %v", name, i, duties)
				}
				continue
			}
			want := Duty{Address: a}
			for _, ahead := range ranked[:i] {
				want.Ahead = append(want.Ahead, Peer{ahead, netip.MustParseAddr(network + ahead[1:])})
			}
			if len(duties) != 1 || !reflect.DeepEqual(duties[0], want) {
				t.Errorf("%s, number %d: %v, want %v", name, i, duties, want)
			}
		}
	}
}

// Services that share an address have one owner of it, on a node with an endpoint of one of them. Slices of the other family do not count.
func TestOwnerOfASharedAddress(t *testing.T) {
	local := func(onNode string, kind discoveryv1.AddressType) Service {
		s := balanced("192.0.2.100")
		s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
		s.Slices = []*discoveryv1.EndpointSlice{{AddressType: kind, Endpoints: []discoveryv1.Endpoint{{NodeName: &onNode}}}}
		return s
	}
	nodes := []*corev1.Node{node("n1 192.0.2.1"), node("n2 192.0.2.2"), node("n3 192.0.2.3")}
	for _, tc := range []struct {
		name     string
		services []Service
		want     []string // who may own it
	}{
		{"both local", []Service{local("n1", discoveryv1.AddressTypeIPv4), local("n2", discoveryv1.AddressTypeIPv4)}, []string{"n1", "n2"}},
		{"one local", []Service{local("n1", discoveryv1.AddressTypeIPv4), balanced("192.0.2.100")}, []string{"n1", "n2", "n3"}},
		{"the other family's endpoint", []Service{local("n1", discoveryv1.AddressTypeIPv6)}, []string{"n1", "n2", "n3"}},
	} {
		want := Ranked(netip.MustParseAddr("192.0.2.100"), tc.want)[0]
		for _, n := range nodes {
			if has := len(owned(Duties(n.Name, tc.services, nodes))) == 1; has != (n.Name == want) {
				t.Errorf("%s: %s owns the address: %v, want %s to", tc.name, n.Name, has, want)
			}
		}
	}
}

func TestOwnedAddresses(t *testing.T) {
	with := func(s Service, change func(*corev1.Service)) []Service { change(s.Service); return []Service{s} }
	n1, n2 := "n1 192.0.2.1", "n2 192.0.2.2"
	endpointOn := func(name string, ready bool) []*discoveryv1.EndpointSlice {
		return []*discoveryv1.EndpointSlice{{Endpoints: []discoveryv1.Endpoint{{NodeName: &name, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}}}}
	}
	local := func(eps []*discoveryv1.EndpointSlice) []Service {
		s := balanced("192.0.2.100")
		s.Spec.ExternalTrafficPolicy, s.Slices = corev1.ServiceExternalTrafficPolicyLocal, eps
		return []Service{s}
	}
	proxied := corev1.LoadBalancerIPModeProxy
	for _, tc := range []struct {
		name     string
		nodes    []string
		services []Service
		want     string // what n1 and n2 have
	}{
		{"one node", []string{n1}, []Service{balanced("192.0.2.101", "192.0.2.100"), balanced("192.0.2.100")}, "n1 [192.0.2.100 192.0.2.101]"},
		{"an address of a node", []string{n1, n2}, []Service{balanced("192.0.2.1", "192.0.2.2")}, ""},
		{"no unicast addresses", []string{n1}, []Service{balanced("127.0.0.1", "0.0.0.0", "255.255.255.255", "239.0.0.1", "169.254.1.1", "fe80::1", "::1", "::ffff:192.0.2.3", "x", "")}, ""},
		{"another controller's", []string{n1}, with(balanced("192.0.2.100"), func(s *corev1.Service) { s.Status.Conditions = nil }), ""},
		{"another type", []string{n1}, with(balanced("192.0.2.100"), func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeClusterIP }), ""},
		{"a proxying balancer's", []string{n1}, with(balanced("192.0.2.100"), func(s *corev1.Service) { s.Status.LoadBalancer.Ingress[0].IPMode = &proxied }), ""},
		{"only the other is ready", []string{n1 + " unready", n2}, []Service{balanced("192.0.2.100", "192.0.2.101")}, "n2 [192.0.2.100 192.0.2.101]"},
		{"only one is not excluded", []string{n1 + " excluded", n2 + " unready"}, []Service{balanced("192.0.2.100")}, "n2 [192.0.2.100]"},
		{"one is leaving", []string{n1 + " leaving", n2}, []Service{balanced("192.0.2.100", "192.0.2.101")}, "n2 [192.0.2.100 192.0.2.101]"},
		{"local, on n1", []string{n1, n2}, local(endpointOn("n1", true)), "n1 [192.0.2.100]"},
		{"local, on n2", []string{n1, n2}, local(endpointOn("n2", true)), "n2 [192.0.2.100]"},
		{"local, on a node that is not ready", []string{n1 + " unready", n2}, local(endpointOn("n1", true)), "n2 [192.0.2.100]"},
	} {
		var nodes []*corev1.Node
		for _, text := range tc.nodes {
			nodes = append(nodes, node(text))
		}
		var got []string
		for _, name := range []string{"n1", "n2"} {
			if has := owned(Duties(name, tc.services, nodes)); len(has) > 0 {
				got = append(got, fmt.Sprint(name, " ", has))
			}
		}
		if s := strings.Join(got, ", "); s != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, s, tc.want)
		}
	}
}

// Every address has one owner, and a node that goes moves its addresses only.
func TestOwners(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var nodes []string
		for i := range rapid.IntRange(1, 20).Draw(t, "nodes") {
			nodes = append(nodes, fmt.Sprint("node-", i))
		}
		a := netip.AddrFrom4([4]byte{192, 168, rapid.Byte().Draw(t, "b"), rapid.Byte().Draw(t, "c")})
		owner := Ranked(a, nodes)[0]
		if !slices.Contains(nodes, owner) || Ranked(a, slices.Sorted(slices.Values(nodes)))[0] != owner {
			t.Fatalf("%s: owner %q of %v", a, owner, nodes)
		}
		gone := rapid.SampledFrom(nodes).Draw(t, "gone")
		after := append(Ranked(a, slices.DeleteFunc(slices.Clone(nodes), func(n string) bool { return n == gone })), "")[0]
		if gone != owner && after != owner || gone == owner && after == owner {
			t.Fatalf("%s moved from %s to %s when %s went", a, owner, after, gone)
		}
	})
	count := map[string]int{}
	for i := range 250 {
		count[Ranked(netip.AddrFrom4([4]byte{192, 168, 1, byte(i)}), []string{"a", "b", "c"})[0]]++
	}
	for n, c := range count {
		if c < 50 || c > 120 {
			t.Errorf("%s has %d of 250 addresses: %v", n, c, count)
		}
	}
}
