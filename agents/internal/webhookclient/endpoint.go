package webhookclient

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"

	"gantry/registry/admit/webhooks"
)

// endpointOf is the address and port of one of a service's ready endpoints, or of what an ExternalName names.
func endpointOf(ctx context.Context, read webhooks.Finder, s *admissionv1.ServiceReference) (string, error) {
	found, err := read.Find(ctx, "", "services", s.Namespace, s.Name)
	if err != nil {
		return "", err
	}
	service, ok := found.Object.(*corev1.Service)
	if !ok {
		return "", fmt.Errorf("service %q not found", s.Name)
	}
	number := ptr.Deref(s.Port, 443)
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		return net.JoinHostPort(service.Spec.ExternalName, strconv.Itoa(int(number))), nil
	}
	i := slices.IndexFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == number && p.Protocol != corev1.ProtocolUDP })
	if i < 0 {
		return "", fmt.Errorf("no service port %d found for service %q", number, s.Name)
	}
	list, err := read.List(ctx, discoveryv1.GroupName, "endpointslices", s.Namespace)
	if err != nil {
		return "", err
	}
	var all []string
	for _, obj := range list {
		if slice, ok := obj.(*discoveryv1.EndpointSlice); ok && slice.Labels[discoveryv1.LabelServiceName] == s.Name {
			all = append(all, addressesOf(slice, service.Spec.Ports[i].Name)...)
		}
	}
	if len(all) == 0 {
		return "", fmt.Errorf("no endpoints available for service %q", s.Name)
	}
	return all[rand.N(len(all))], nil
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
