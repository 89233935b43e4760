package gateway

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gantry/registry"
	"gantry/schema/discovery"
)

// The Service of the API itself.
const (
	serviceName = "kubernetes"
	portName    = "https"
)

func apiService(ip netip.Addr, port int32) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: metav1.NamespaceDefault, Name: serviceName,
			Labels: map[string]string{"component": "apiserver", "provider": "kubernetes"},
		},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, SessionAffinity: corev1.ServiceAffinityNone,
			Ports: []corev1.ServicePort{{Name: portName, Port: 443, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(port)}},
		},
	}
	if ip.IsValid() {
		s.Spec.ClusterIP, s.Spec.ClusterIPs = ip.String(), []string{ip.String()}
	}
	return s
}

// byPort groups gateways: a slice has one set of ports.
func byPort(live []netip.AddrPort) (ports []uint16, addrs map[uint16][]netip.Addr) {
	addrs = map[uint16][]netip.Addr{}
	for _, a := range live {
		if len(addrs[a.Port()]) == 0 {
			ports = append(ports, a.Port())
		}
		addrs[a.Port()] = append(addrs[a.Port()], a.Addr())
	}
	slices.Sort(ports)
	return ports, addrs
}

// apiEndpoints is the Endpoints object of the gateways.
func apiEndpoints(live []netip.AddrPort) *corev1.Endpoints {
	e := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{
		Namespace: metav1.NamespaceDefault, Name: serviceName,
		Labels: map[string]string{discoveryv1.LabelSkipMirror: "true"},
	}}
	ports, addrs := byPort(live)
	for _, port := range ports {
		s := corev1.EndpointSubset{Ports: []corev1.EndpointPort{{Name: portName, Port: int32(port), Protocol: corev1.ProtocolTCP}}}
		for _, a := range addrs[port] {
			s.Addresses = append(s.Addresses, corev1.EndpointAddress{IP: a.String()})
		}
		e.Subsets = append(e.Subsets, s)
	}
	return e
}

// apiSlices are the slices of the gateways: kubernetes for the lowest port, kubernetes-<port> for others.
func apiSlices(live []netip.AddrPort) (slices []*discoveryv1.EndpointSlice) {
	ports, addrs := byPort(live)
	for i, port := range ports {
		name := serviceName
		if i > 0 {
			name += "-" + portText(port)
		}
		family := discoveryv1.AddressTypeIPv4
		if addrs[port][0].Unmap().Is6() {
			family = discoveryv1.AddressTypeIPv6
		}
		tcp, ready, number, text := corev1.ProtocolTCP, true, int32(port), portName
		s := &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: metav1.NamespaceDefault, Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: serviceName},
			},
			AddressType: family,
			Ports:       []discoveryv1.EndpointPort{{Name: &text, Port: &number, Protocol: &tcp}},
		}
		for _, a := range addrs[port] {
			s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
				Addresses: []string{a.Unmap().String()}, Conditions: discoveryv1.EndpointConditions{Ready: &ready},
			})
		}
		slices = append(slices, s)
	}
	return slices
}

// endpoints brings Endpoints and EndpointSlices to the live gateways.
func (p *publisher) endpoints(ctx context.Context, live []netip.AddrPort) error {
	want := apiEndpoints(live)
	all := registry.For[*corev1.Endpoints](p.reg)
	old, err := all.Cached(ctx, want.Namespace, want.Name)
	switch {
	case errors.Is(err, registry.NotFound):
		_, err = all.Create(ctx, want)
	case err == nil && !equality.Semantic.DeepEqual(old.Subsets, want.Subsets):
		p.log.Info("gateways changed", "gateways", live)
		_, err = all.Modify(ctx, want.Namespace, want.Name, func(e *corev1.Endpoints) error {
			e.Subsets, e.Labels = want.Subsets, merged(e.Labels, want.Labels)
			return nil
		})
	}
	if err != nil && !errors.Is(err, registry.Exists) {
		return wrap("publishing the Endpoints kubernetes", err)
	}
	return p.slices(ctx, apiSlices(live))
}

// slices makes, changes and deletes the slices of the gateways.
func (p *publisher) slices(ctx context.Context, want []*discoveryv1.EndpointSlice) error {
	all := registry.For[*discoveryv1.EndpointSlice](p.reg)
	have, err := all.CachedList(ctx, metav1.NamespaceDefault, discoveryv1.LabelServiceName+"="+serviceName)
	if err != nil {
		return wrap("listing the slices of gateways", err)
	}
	for _, w := range want {
		at := slices.IndexFunc(have, func(h *discoveryv1.EndpointSlice) bool { return h.Name == w.Name })
		switch {
		case at < 0:
			_, err = all.Create(ctx, w)
		case have[at].AddressType != w.AddressType: // immutable
			err = all.Delete(ctx, w.Namespace, w.Name, registry.DeleteOptions{})
		case !equality.Semantic.DeepEqual(have[at].Endpoints, w.Endpoints) || !equality.Semantic.DeepEqual(have[at].Ports, w.Ports):
			_, err = all.Modify(ctx, w.Namespace, w.Name, func(s *discoveryv1.EndpointSlice) error {
				s.Endpoints, s.Ports, s.Labels = w.Endpoints, w.Ports, merged(s.Labels, w.Labels)
				return nil
			})
		}
		if err != nil && !errors.Is(err, registry.Exists) {
			return wrap("publishing a slice of gateways", err)
		}
	}
	for _, h := range have {
		if slices.ContainsFunc(want, func(w *discoveryv1.EndpointSlice) bool { return w.Name == h.Name }) || h.Labels[discoveryv1.LabelManagedBy] != "" {
			continue
		}
		if _, _, err := p.reg.Delete(ctx, discovery.EndpointSlice, h.Namespace, h.Name, registry.DeleteOptions{}); err != nil && !errors.Is(err, registry.NotFound) {
			return wrap("deleting a slice of gateways", err)
		}
	}
	return nil
}
