package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

func validateEndpoints(ep *corev1.Endpoints) field.ErrorList {
	var f check.Errors
	for i := range ep.Subsets {
		s, p := &ep.Subsets[i], field.NewPath("subsets").Index(i)
		if len(s.Addresses) == 0 && len(s.NotReadyAddresses) == 0 {
			f.Required(p, "must specify `addresses` or `notReadyAddresses`")
		}
		for j := range s.Addresses {
			checkEndpointAddress(&f, &s.Addresses[j], p.Child("addresses").Index(j))
		}
		for j := range s.NotReadyAddresses {
			checkEndpointAddress(&f, &s.NotReadyAddresses[j], p.Child("notReadyAddresses").Index(j))
		}
		for j := range s.Ports {
			checkEndpointPort(&f, &s.Ports[j], len(s.Ports) > 1, p.Child("ports").Index(j))
		}
	}
	return f.List
}

// validateEndpointsUpdate allows unchanged subsets that an earlier version accepted.
func validateEndpointsUpdate(ep, old *corev1.Endpoints) field.ErrorList {
	errs := validateEndpoints(ep)
	if len(errs) > 0 && equality.Semantic.DeepEqual(ep.Subsets, old.Subsets) {
		return nil
	}
	return errs
}

func checkEndpointAddress(f *check.Errors, a *corev1.EndpointAddress, p *field.Path) {
	f.IP(p.Child("ip"), a.IP)
	if a.Hostname != "" {
		f.Label(p.Child("hostname"), a.Hostname)
	}
	if a.NodeName != nil {
		f.Subdomain(p.Child("nodeName"), *a.NodeName)
	}
	f.EndpointIP(p.Child("ip"), a.IP)
}

func checkEndpointPort(f *check.Errors, port *corev1.EndpointPort, mustName bool, p *field.Path) {
	if (mustName || port.Name != "") && f.Set(p.Child("name"), port.Name) {
		f.Label(p.Child("name"), port.Name)
	}
	f.Port(p.Child("port"), port.Port)
	checkProtocol(f, port.Protocol, p.Child("protocol"))
	if port.AppProtocol != nil {
		f.Qualified(p.Child("appProtocol"), *port.AppProtocol)
	}
}

func endpointsWarnings(ep, _ *corev1.Endpoints) (w []string) {
	if ep.Labels["endpoints.kubernetes.io/managed-by"] == "endpoint-controller" {
		return nil // it writes canonical addresses alone, and many
	}
	warn := func(list []corev1.EndpointAddress, p *field.Path) {
		for i := range list {
			w = append(w, check.WarnIP(p.Index(i).Child("ip"), list[i].IP)...)
		}
	}
	for i := range ep.Subsets {
		p := field.NewPath("subsets").Index(i)
		warn(ep.Subsets[i].Addresses, p.Child("addresses"))
		warn(ep.Subsets[i].NotReadyAddresses, p.Child("notReadyAddresses"))
	}
	return w
}
