package discovery

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"gantry/schema/internal/check"
)

// How many of each a slice may have.
const (
	maxEndpoints = 1000
	maxAddresses = 100
	maxPorts     = 20000
	maxTopology  = 16
	maxHints     = 8
)

func validateEndpointSlice(s *discoveryv1.EndpointSlice) field.ErrorList {
	f := checkSlice(s)
	checkEndpoints(&f, s)
	return f.List
}

// validateEndpointSliceUpdate allows unchanged endpoints that an earlier version accepted.
func validateEndpointSliceUpdate(s, old *discoveryv1.EndpointSlice) field.ErrorList {
	f := checkSlice(s)
	var e check.Errors
	if checkEndpoints(&e, s); len(e.List) > 0 && !equality.Semantic.DeepEqual(s.Endpoints, old.Endpoints) {
		f.Add(e.List...)
	}
	f.Same(field.NewPath("addressType"), s.AddressType, old.AddressType)
	return f.List
}

func checkSlice(s *discoveryv1.EndpointSlice) (f check.Errors) {
	check.SetOneOf(&f, field.NewPath("addressType"), s.AddressType, discoveryv1.AddressTypeFQDN, discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6)
	list := field.NewPath("ports")
	if len(s.Ports) > maxPorts {
		f.Add(field.TooMany(list, len(s.Ports), maxPorts))
		return f
	}
	names := map[string]bool{}
	for i, port := range s.Ports {
		p, name := list.Index(i), ""
		if port.Name != nil {
			name = *port.Name
		}
		if name != "" {
			f.Label(p.Child("name"), name)
		}
		if names[name] {
			f.Duplicate(p.Child("name"), name)
		}
		names[name] = true
		if port.Protocol == nil {
			f.Required(p.Child("protocol"), "")
		} else {
			check.OneOf(&f, p.Child("protocol"), *port.Protocol, corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP)
		}
		if port.AppProtocol != nil {
			f.Qualified(p.Child("appProtocol"), *port.AppProtocol)
		}
	}
	return f
}

func checkEndpoints(f *check.Errors, s *discoveryv1.EndpointSlice) {
	list := field.NewPath("endpoints")
	if len(s.Endpoints) > maxEndpoints {
		f.Add(field.TooMany(list, len(s.Endpoints), maxEndpoints))
		return
	}
	for i := range s.Endpoints {
		checkEndpoint(f, &s.Endpoints[i], s.AddressType, list.Index(i))
	}
}

func checkEndpoint(f *check.Errors, e *discoveryv1.Endpoint, family discoveryv1.AddressType, p *field.Path) {
	addresses := p.Child("addresses")
	switch n := len(e.Addresses); {
	case n == 0:
		f.Required(addresses, "must contain at least 1 address")
	case n > maxAddresses:
		f.Add(field.TooMany(addresses, n, maxAddresses))
	}
	for i, a := range e.Addresses {
		checkAddress(f, a, family, addresses, addresses.Index(i))
	}
	if e.NodeName != nil {
		f.Subdomain(p.Child("nodeName"), *e.NodeName)
	}
	topology := p.Child("deprecatedTopology")
	if n := len(e.DeprecatedTopology); n > maxTopology {
		f.Add(field.TooMany(topology, n, maxTopology))
	}
	if len(e.DeprecatedTopology) > 0 {
		f.Add(metavalidation.ValidateLabels(e.DeprecatedTopology, topology)...)
	}
	if e.Hostname != nil {
		f.Label(p.Child("hostname"), *e.Hostname)
	}
	if e.Hints != nil {
		checkHints(f, e.Hints, p.Child("hints"))
	}
}

func checkAddress(f *check.Errors, a string, family discoveryv1.AddressType, list, p *field.Path) {
	before := f.Count()
	switch family {
	case discoveryv1.AddressTypeFQDN:
		f.Add(validation.IsFullyQualifiedDomainName(p, a)...)
		return
	case discoveryv1.AddressTypeIPv4:
		f.IP(p, a)
	case discoveryv1.AddressTypeIPv6:
		f.Add(validation.IsValidIP(p, a)...)
	default:
		return
	}
	if f.Count() > before {
		return
	}
	if six := netutils.IsIPv6String(a); six != (family == discoveryv1.AddressTypeIPv6) {
		f.Invalid(list, a, fmt.Sprintf("must be an %s address", family))
	}
	f.EndpointIP(p, a)
}

func checkHints(f *check.Errors, h *discoveryv1.EndpointHints, p *field.Path) {
	zones, nodes := p.Child("forZones"), p.Child("forNodes")
	if n := len(h.ForZones); n > maxHints {
		f.Add(field.TooMany(zones, n, maxHints))
		return
	}
	seen := map[string]bool{}
	for i, z := range h.ForZones {
		at := zones.Index(i).Child("name")
		if seen[z.Name] {
			f.Duplicate(at, z.Name)
		}
		seen[z.Name] = true
		f.Each(at, z.Name, validation.IsValidLabelValue(z.Name))
	}
	if n := len(h.ForNodes); n > maxHints {
		f.Add(field.TooMany(nodes, n, maxHints))
		return
	}
	clear(seen)
	for i, node := range h.ForNodes {
		at := nodes.Index(i).Child("name")
		if seen[node.Name] {
			f.Duplicate(at, node.Name)
		}
		seen[node.Name] = true
		f.Subdomain(at, node.Name)
	}
}

func endpointSliceWarnings(s, old *discoveryv1.EndpointSlice) (w []string) {
	if old == nil && s.AddressType == discoveryv1.AddressTypeFQDN {
		w = append(w, "spec.addressType: FQDN endpoints are deprecated")
	}
	switch s.Labels[discoveryv1.LabelManagedBy] {
	case "endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io":
		return w // they write canonical addresses alone, and many
	}
	for i := range s.Endpoints {
		for j, a := range s.Endpoints[i].Addresses {
			w = append(w, check.WarnIP(field.NewPath("endpoints").Index(i).Child("addresses").Index(j), a)...)
		}
	}
	return w
}
