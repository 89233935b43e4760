package network

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/discovery"
)

const mirrorManager = "endpointslicemirroring-controller.k8s.io"

type mirroring struct{ *controller.Env }

// NewEndpointSliceMirroring keeps slices of Endpoints that somebody made for a Service without selector. Its keys are those of Services.
func NewEndpointSliceMirroring(e *controller.Env) controller.Reconciler {
	c := mirroring{e}
	enqueue := func(old, current schema.Object) {
		if current == nil {
			current = old
		}
		c.Enqueue(controller.KeyOf(current), controller.CoalesceDelay)
	}
	return controller.Reconciler{
		Reconcile: c.reconcile,
		Watches: []controller.Watch{
			{Kind: core.Endpoints, Keys: func(old, current schema.Object) {
				// Endpoints of the endpoints controller are not mirrored.
				if current == nil || current.GetLabels()[endpointsManagedBy] != endpointsManager {
					enqueue(old, current)
				}
			}},
			{Kind: core.Service, Keys: enqueue},
			{Kind: discovery.EndpointSlice, Keys: func(old, current schema.Object) { onSlice(c.Env, mirrorManager, old, current) }},
		},
	}
}

func (c mirroring) reconcile(ctx context.Context, key string) (time.Duration, error) {
	ns, name, _ := strings.Cut(key, "/")
	ep, err := registry.For[*corev1.Endpoints](c.Registry).Cached(ctx, ns, name)
	if err != nil && !errors.Is(err, registry.NotFound) {
		return 0, err
	}
	svc, err := registry.For[*corev1.Service](c.Registry).Cached(ctx, ns, name)
	if err != nil && !errors.Is(err, registry.NotFound) {
		return 0, err
	}
	existing, err := managedSlices(ctx, c.Env, ns, name, mirrorManager)
	if err != nil {
		return 0, err
	}
	return 0, c.Execute(ctx, planMirror(svc, ep, existing))
}

// planMirror decides the slices of endpoints made by hand: none, unless there is a service of the name that selects
// nothing itself.
func planMirror(svc *corev1.Service, ep *corev1.Endpoints, existing []*discoveryv1.EndpointSlice) []controller.Action {
	if svc == nil || len(svc.Spec.Selector) > 0 || !mirrored(ep) {
		var plan []controller.Action
		for _, es := range existing {
			plan = append(plan, controller.Action{Do: controller.Delete, Kind: discovery.EndpointSlice, Object: es, Reason: "there are no endpoints to mirror"})
		}
		return plan
	}
	set := labels.Merge(ep.Labels, labels.Set{discoveryv1.LabelServiceName: ep.Name})
	set[discoveryv1.LabelManagedBy] = mirrorManager
	annotations := maps.Clone(ep.Annotations)
	delete(annotations, corev1.LastAppliedConfigAnnotation)
	delete(annotations, corev1.EndpointsLastChangeTriggerTime)
	if annotations == nil {
		annotations = map[string]string{}
	}
	s := slicing{owner: ep, ownerKind: core.Endpoints, prefix: ep.Name, labels: set, annotations: annotations}
	return s.plan(existing, mirrorEndpoints(ep))
}

func mirrored(ep *corev1.Endpoints) bool {
	return ep != nil && ep.DeletionTimestamp == nil && ep.Labels[discoveryv1.LabelSkipMirror] != "true" &&
		ep.Labels[endpointsManagedBy] != endpointsManager && ep.Annotations[leaderAnnotation] == ""
}

func mirrorEndpoints(ep *corev1.Endpoints) map[discoveryv1.AddressType][]endpoint {
	out := map[discoveryv1.AddressType][]endpoint{}
	for _, s := range ep.Subsets {
		ports := []discoveryv1.EndpointPort{}
		for _, p := range s.Ports {
			protocol := p.Protocol
			if protocol == "" {
				protocol = corev1.ProtocolTCP
			}
			ports = append(ports, discoveryv1.EndpointPort{Name: &p.Name, Port: &p.Port, Protocol: &protocol, AppProtocol: p.AppProtocol})
		}
		add := func(addresses []corev1.EndpointAddress, ready bool) {
			for _, a := range addresses[:min(len(addresses), maxEndpoints)] {
				ip, err := netip.ParseAddr(a.IP)
				if err != nil {
					continue
				}
				family := discoveryv1.AddressTypeIPv4
				if ip.Is6() {
					family = discoveryv1.AddressTypeIPv6
				}
				out[family] = append(out[family], endpoint{ports, mirrorEndpoint(a, ready)})
			}
		}
		add(s.Addresses, true)
		add(s.NotReadyAddresses, false)
	}
	return out
}

func mirrorEndpoint(a corev1.EndpointAddress, ready bool) discoveryv1.Endpoint {
	e := discoveryv1.Endpoint{Addresses: []string{a.IP}, Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &ready}, NodeName: a.NodeName, TargetRef: a.TargetRef}
	if a.Hostname != "" {
		e.Hostname = &a.Hostname
	}
	return e
}
