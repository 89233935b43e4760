// Package serviceendpoints finds where a service's ready endpoints are, for agents that connect to them without the machine's proxy.
package serviceendpoints

import (
	"fmt"
	"net"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
)

// Ready are the addresses, "10.0.0.1:8443", behind a port of a service with a name, or of what an ExternalName names; all are the service's
// slices. None is an error.
func Ready(service *corev1.Service, name string, port int32, all []*discoveryv1.EndpointSlice) ([]string, error) {
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		return []string{net.JoinHostPort(service.Spec.ExternalName, strconv.Itoa(int(port)))}, nil
	}
	i := slices.IndexFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == port && p.Protocol != corev1.ProtocolUDP })
	if i < 0 {
		return nil, fmt.Errorf("no service port %d found for service %q", port, name)
	}
	var found []string
	for _, slice := range all {
		found = append(found, addressesOf(slice, service.Spec.Ports[i].Name)...)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no endpoints available for service %q", name)
	}
	return found, nil
}

// addressesOf are the ready endpoints of a slice with the port of a name.
func addressesOf(slice *discoveryv1.EndpointSlice, port string) (out []string) {
	i := slices.IndexFunc(slice.Ports, func(p discoveryv1.EndpointPort) bool { return ptr.Deref(p.Name, "") == port && p.Port != nil })
	if i < 0 || slice.AddressType == discoveryv1.AddressTypeFQDN {
		return nil
	}
	for _, e := range slice.Endpoints {
		if ptr.Deref(e.Conditions.Ready, true) && len(e.Addresses) > 0 {
			out = append(out, net.JoinHostPort(e.Addresses[0], strconv.Itoa(int(*slice.Ports[i].Port))))
		}
	}
	return out
}
