package records

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Service is what is read of a Service.
type Service struct {
	Namespace, Name string
	Headless        bool
	ClusterIPs      []netip.Addr
	// ExternalName is the name that the Service stands for; "": it is of another type.
	ExternalName string
	Ports        []Port
	// PublishNotReady has endpoints that are not ready too.
	PublishNotReady bool
}

// Port is a port of a Service, or of its endpoints.
type Port struct {
	Name, Protocol string // Protocol is lower-cased: "tcp"
	Number         uint16
}

// Slice is what is read of an EndpointSlice.
type Slice struct {
	Ports     []Port
	Endpoints []Endpoint
}

// Endpoint is an endpoint of a Slice.
type Endpoint struct {
	Addresses []netip.Addr
	Hostname  string
	Ready     bool
}

// Owner is the Service's name in Zone.Set: "namespace/name".
func (s *Service) Owner() string { return s.Namespace + "/" + s.Name }

// ReadService reads a Service. What is invalid in it is left out: values in etcd are not trusted.
func ReadService(svc *corev1.Service) *Service {
	s := &Service{Namespace: strings.Clone(svc.Namespace), Name: strings.Clone(svc.Name), PublishNotReady: svc.Spec.PublishNotReadyAddresses}
	if svc.Spec.Type == corev1.ServiceTypeExternalName {
		s.ExternalName = strings.Clone(svc.Spec.ExternalName)
		return s
	}
	texts := svc.Spec.ClusterIPs
	if len(texts) == 0 {
		texts = []string{svc.Spec.ClusterIP}
	}
	for _, text := range texts {
		if text == corev1.ClusterIPNone {
			s.Headless = true
		} else if a, ok := address(text); ok && !slices.Contains(s.ClusterIPs, a) {
			s.ClusterIPs = append(s.ClusterIPs, a)
		}
	}
	for _, p := range svc.Spec.Ports {
		s.Ports = appendPort(s.Ports, p.Name, string(p.Protocol), p.Port)
	}
	return s
}

// ReadSlice reads an EndpointSlice, as ReadService.
func ReadSlice(e *discoveryv1.EndpointSlice) *Slice {
	s := &Slice{}
	if e.AddressType == discoveryv1.AddressTypeFQDN {
		return s
	}
	for _, p := range e.Ports {
		name, protocol := "", ""
		if p.Name != nil {
			name = *p.Name
		}
		if p.Protocol != nil {
			protocol = string(*p.Protocol)
		}
		if p.Port != nil {
			s.Ports = appendPort(s.Ports, name, protocol, *p.Port)
		}
	}
	for _, have := range e.Endpoints {
		ep := Endpoint{Ready: have.Conditions.Ready == nil || *have.Conditions.Ready}
		if have.Hostname != nil {
			ep.Hostname = strings.Clone(*have.Hostname)
		}
		for _, text := range have.Addresses {
			if a, ok := address(text); ok && (a.Is4() == (e.AddressType == discoveryv1.AddressTypeIPv4)) {
				ep.Addresses = append(ep.Addresses, a)
			}
		}
		s.Endpoints = append(s.Endpoints, ep)
	}
	return s
}

func appendPort(all []Port, name, protocol string, number int32) []Port {
	if number < 1 || number > 65535 {
		return all
	}
	if protocol == "" {
		protocol = string(corev1.ProtocolTCP)
	}
	return append(all, Port{strings.Clone(name), strings.ToLower(protocol), uint16(number)})
}

func address(text string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(text)
	return a.Unmap(), err == nil && a.Zone() == "" && !a.IsUnspecified()
}
