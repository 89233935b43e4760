package webhookclient

import (
	"context"
	"fmt"
	"math/rand/v2"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"

	"gantry/agents/internal/serviceendpoints"
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
	list, err := read.List(ctx, discoveryv1.GroupName, "endpointslices", s.Namespace)
	if err != nil {
		return "", err
	}
	var slices []*discoveryv1.EndpointSlice
	for _, obj := range list {
		if slice, ok := obj.(*discoveryv1.EndpointSlice); ok && slice.Labels[discoveryv1.LabelServiceName] == s.Name {
			slices = append(slices, slice)
		}
	}
	all, err := serviceendpoints.Ready(service, s.Name, ptr.Deref(s.Port, 443), slices)
	if err != nil {
		return "", err
	}
	return all[rand.N(len(all))], nil
}
