package network

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gantry/agents/controllers/controller"
	"gantry/schema/core"
	"gantry/schema/discovery"
)

// apiPortName is the name of the port of the Service, the Endpoints and the slices.
const apiPortName = "https"

// apiObjects are the Service kubernetes and what leads from it to gateways; nil where there is none.
type apiObjects struct {
	service   *corev1.Service
	endpoints *corev1.Endpoints
	slices    []*discoveryv1.EndpointSlice
}

// planKubernetesService decides the Service at ip and what leads from it to gateways. Without gateways, and without the namespace (have is
// nil), nothing changes.
func planKubernetesService(ip netip.Addr, gateways []netip.AddrPort, have *apiObjects) []controller.Action {
	if len(gateways) == 0 || have == nil {
		return nil
	}
	gateways = ofFamily(gateways, ip)
	plan := planAPIService(apiService(ip, gateways[0].Port()), have.service)
	plan = append(plan, planAPIEndpoints(apiEndpoints(gateways), have.endpoints, reasonOf(gateways))...)
	return append(plan, planAPISlices(apiSlices(gateways), have.slices, reasonOf(gateways))...)
}

// ofFamily returns the gateways of an address's family; all where none is of it: they are all there is.
func ofFamily(gateways []netip.AddrPort, ip netip.Addr) []netip.AddrPort {
	some := slices.DeleteFunc(slices.Clone(gateways), func(g netip.AddrPort) bool { return g.Addr().Unmap().Is4() != ip.Is4() })
	if len(some) == 0 {
		return gateways
	}
	return some
}

func reasonOf(gateways []netip.AddrPort) string {
	text := make([]string, len(gateways))
	for i, g := range gateways {
		text[i] = g.String()
	}
	return fmt.Sprintf("%d gateways: %s", len(gateways), strings.Join(text, ", "))
}

func planAPIService(want, have *corev1.Service) []controller.Action {
	switch {
	case have == nil:
		return []controller.Action{{Do: controller.Create, Kind: core.Service, Object: want, Reason: "clients in the cluster find the API by it"}}
	case have.DeletionTimestamp != nil || len(have.Spec.Ports) == 1 && have.Spec.Ports[0].Port == 443 && have.Spec.Ports[0].Name == apiPortName:
		return nil
	}
	next := have.DeepCopy()
	next.Spec.Ports = want.Spec.Ports
	return []controller.Action{{Do: controller.Update, Kind: core.Service, Object: next, Reason: "its port is not " + apiPortName + " 443"}}
}

func apiService(ip netip.Addr, port uint16) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: metav1.NamespaceDefault, Name: kubernetesServiceName,
			Labels: map[string]string{"component": "apiserver", "provider": "kubernetes"},
		},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, SessionAffinity: corev1.ServiceAffinityNone, ClusterIP: ip.String(), ClusterIPs: []string{ip.String()},
			Ports: []corev1.ServicePort{{Name: apiPortName, Port: 443, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(int32(port))}},
		},
	}
}

// byPort groups gateways: a slice, and a subset of Endpoints, has one set of ports.
func byPort(gateways []netip.AddrPort) (ports []uint16, addresses map[uint16][]netip.Addr) {
	addresses = map[uint16][]netip.Addr{}
	for _, g := range gateways {
		if len(addresses[g.Port()]) == 0 {
			ports = append(ports, g.Port())
		}
		addresses[g.Port()] = append(addresses[g.Port()], g.Addr())
	}
	slices.Sort(ports)
	return ports, addresses
}

func planAPIEndpoints(want, have *corev1.Endpoints, reason string) []controller.Action {
	switch {
	case have == nil:
		return []controller.Action{{Do: controller.Create, Kind: core.Endpoints, Object: want, Reason: reason}}
	case have.DeletionTimestamp != nil || equality.Semantic.DeepEqual(have.Subsets, want.Subsets):
		return nil
	}
	next := have.DeepCopy()
	next.Subsets, next.Labels = want.Subsets, labels.Merge(have.Labels, want.Labels)
	return []controller.Action{{Do: controller.Update, Kind: core.Endpoints, Object: next, Reason: reason}}
}

func apiEndpoints(gateways []netip.AddrPort) *corev1.Endpoints {
	e := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{
		Namespace: metav1.NamespaceDefault, Name: kubernetesServiceName,
		Labels: map[string]string{discoveryv1.LabelSkipMirror: "true"},
	}}
	ports, addresses := byPort(gateways)
	for _, port := range ports {
		s := corev1.EndpointSubset{Ports: []corev1.EndpointPort{{Name: apiPortName, Port: int32(port), Protocol: corev1.ProtocolTCP}}}
		for _, a := range addresses[port] {
			s.Addresses = append(s.Addresses, corev1.EndpointAddress{IP: a.String()})
		}
		e.Subsets = append(e.Subsets, s)
	}
	return e
}

// planAPISlices leaves slices of other managers as they are. One of another address family is deleted: the family cannot be changed, and
// its deletion has the Service reconciled again.
func planAPISlices(want, have []*discoveryv1.EndpointSlice, reason string) (plan []controller.Action) {
	for _, w := range want {
		at := slices.IndexFunc(have, func(h *discoveryv1.EndpointSlice) bool { return h.Name == w.Name })
		switch {
		case at < 0:
			plan = append(plan, controller.Action{Do: controller.Create, Kind: discovery.EndpointSlice, Object: w, Reason: reason})
		case have[at].AddressType != w.AddressType:
			plan = append(plan, controller.Action{Do: controller.Delete, Kind: discovery.EndpointSlice, Object: have[at], Reason: "its addresses are of another family"})
		case !equality.Semantic.DeepEqual(have[at].Endpoints, w.Endpoints) || !equality.Semantic.DeepEqual(have[at].Ports, w.Ports):
			next := have[at].DeepCopy()
			next.Endpoints, next.Ports, next.Labels = w.Endpoints, w.Ports, labels.Merge(next.Labels, w.Labels)
			plan = append(plan, controller.Action{Do: controller.Update, Kind: discovery.EndpointSlice, Object: next, Reason: reason})
		}
	}
	for _, h := range have {
		if h.Labels[discoveryv1.LabelManagedBy] == "" && !slices.ContainsFunc(want, func(w *discoveryv1.EndpointSlice) bool { return w.Name == h.Name }) {
			plan = append(plan, controller.Action{Do: controller.Delete, Kind: discovery.EndpointSlice, Object: h, Reason: "no gateway has its port"})
		}
	}
	return plan
}

// apiSlices are the slices of the gateways: kubernetes for the lowest port, kubernetes-<port> for others.
func apiSlices(gateways []netip.AddrPort) (all []*discoveryv1.EndpointSlice) {
	ports, addresses := byPort(gateways)
	for i, port := range ports {
		name := kubernetesServiceName
		if i > 0 {
			name += "-" + strconv.Itoa(int(port))
		}
		family := discoveryv1.AddressTypeIPv4
		if addresses[port][0].Unmap().Is6() {
			family = discoveryv1.AddressTypeIPv6
		}
		tcp, ready, number, text := corev1.ProtocolTCP, true, int32(port), apiPortName
		s := &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: metav1.NamespaceDefault, Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: kubernetesServiceName},
			},
			AddressType: family,
			Ports:       []discoveryv1.EndpointPort{{Name: &text, Port: &number, Protocol: &tcp}},
		}
		for _, a := range addresses[port] {
			s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
				Addresses: []string{a.Unmap().String()}, Conditions: discoveryv1.EndpointConditions{Ready: &ready},
			})
		}
		all = append(all, s)
	}
	return all
}
