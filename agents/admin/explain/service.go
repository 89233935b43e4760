package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gantry/agents/admin/snapshot"
	"gantry/agents/internal/loadbalancer"
	"gantry/schema/core"
	"gantry/schema/discovery"
	"gantry/schema/pods"
)

// service explains a service by its slices and the pods that it selects.
func (x *explainer) service(depth int, e *snapshot.Entry) {
	if x.deletion(depth, e) {
		return
	}
	svc := e.Object.(*corev1.Service)
	if svc.Spec.Type == corev1.ServiceTypeExternalName {
		x.add(depth, true, e, "%s is another name of %s; it has no endpoints", x.title(e), svc.Spec.ExternalName)
		return
	}
	found, ready, all := x.endpoints(svc)
	address := cmp.Or(strings.Join(svc.Spec.ClusterIPs, ", "), svc.Spec.ClusterIP)
	if svc.Spec.ClusterIP == corev1.ClusterIPNone {
		address = "headless"
	}
	x.add(depth, ready > 0, e, "%s (%s): %d of %d endpoints are ready", x.title(e), address, ready, all)
	for _, s := range found {
		x.add(depth+1, true, s, "EndpointSlice %s", s.Object.GetName())
	}
	for _, family := range svc.Spec.IPFamilies {
		if ready > 0 && !hasReady(found, family) {
			x.add(depth+1, false, e, "none of its ready endpoints has an address of %s", family)
		}
	}
	if svc.Spec.Type == corev1.ServiceTypeLoadBalancer && len(svc.Status.LoadBalancer.Ingress) == 0 {
		reason := "status.loadBalancer is empty"
		if c := meta.FindStatusCondition(svc.Status.Conditions, loadbalancer.AddressAssigned); c != nil && c.Message != "" {
			reason = c.Message
		}
		x.add(depth+1, false, e, "it has no load balancer address yet: %s", reason)
	}
	if len(svc.Spec.Selector) == 0 {
		if len(found) == 0 {
			x.add(depth+1, false, e, "it has no selector, and nobody has made Endpoints or EndpointSlices for it")
		}
		return
	}
	x.selected(depth+1, e, ready, all)
	if depth == 0 {
		x.warnings(depth+1, e)
	}
}

// hasReady tells whether an endpoint of an address family is ready.
func hasReady(all []*snapshot.Entry, family corev1.IPFamily) bool {
	return slices.ContainsFunc(all, func(e *snapshot.Entry) bool {
		s := e.Object.(*discoveryv1.EndpointSlice)
		return string(s.AddressType) == string(family) && slices.ContainsFunc(s.Endpoints, isReady)
	})
}

func isReady(ep discoveryv1.Endpoint) bool { return ep.Conditions.Ready == nil || *ep.Conditions.Ready }

// endpoints are the slices of a service, and how many of their endpoints are ready. A pod with an address of each family is one endpoint.
func (x *explainer) endpoints(svc *corev1.Service) (all []*snapshot.Entry, ready, count int) {
	isEndpointReady := map[string]bool{}
	for _, e := range x.All(discovery.EndpointSlice, svc.Namespace) {
		s := e.Object.(*discoveryv1.EndpointSlice)
		if s.Labels[discoveryv1.LabelServiceName] != svc.Name {
			continue
		}
		all = append(all, e)
		for _, ep := range s.Endpoints {
			key := strings.Join(ep.Addresses, ",")
			if ref := ep.TargetRef; ref != nil && ref.Kind == core.Pod.Kind {
				key = ref.Namespace + "/" + ref.Name
			}
			isEndpointReady[key] = isEndpointReady[key] || isReady(ep)
		}
	}
	for _, is := range isEndpointReady {
		if is {
			ready++
		}
	}
	return all, ready, len(isEndpointReady)
}

// selected explains the pods that a service selects.
func (x *explainer) selected(depth int, e *snapshot.Entry, ready, endpoints int) {
	svc := e.Object.(*corev1.Service)
	selector := labels.SelectorFromSet(svc.Spec.Selector)
	var podsReady int
	var live, bad []*snapshot.Entry
	for _, pod := range x.All(core.Pod, svc.Namespace) {
		p := pod.Object.(*corev1.Pod)
		if !selector.Matches(labels.Set(p.Labels)) || pods.IsTerminal(p) {
			continue
		}
		live = append(live, pod)
		if pods.IsReady(p) && p.DeletionTimestamp == nil {
			podsReady++
			x.targetPorts(depth, e, pod)
		} else {
			bad = append(bad, pod)
		}
	}
	switch {
	case len(live) == 0:
		x.add(depth, false, e, "no pod has the labels that it selects: %s", selector)
		x.nearlySelected(depth+1, svc)
	case podsReady == 0:
		x.add(depth, false, nil, "of the %d pods that it selects none is ready", len(live))
	case ready < podsReady:
		x.add(depth, false, nil, "%d pods are ready, %d endpoints: the controller endpointslice has not caught up", podsReady, ready)
		x.agentMissing(depth+1, "controllers", "keeps the endpoint slices")
	}
	x.some(depth+1, bad, x.pod)
}

// nearlySelected adds a pod that has some of the labels.
func (x *explainer) nearlySelected(depth int, svc *corev1.Service) {
	var best *snapshot.Entry
	most, lacks := 0, ""
	for _, e := range x.All(core.Pod, svc.Namespace) {
		n, text := 0, []string{}
		for key, value := range svc.Spec.Selector {
			if have, ok := e.Object.GetLabels()[key]; ok && have == value {
				n++
			} else if ok {
				text = append(text, fmt.Sprintf("%s is %q, not %q", key, have, value))
			} else {
				text = append(text, "it has no label "+key)
			}
		}
		if n > most || best == nil && len(text) > 0 && strings.Contains(text[0], " is ") {
			best, most, lacks = e, n, strings.Join(text, ", ")
		}
	}
	if best != nil {
		x.add(depth, false, best, "nearest is %s: %s", x.title(best), lacks)
	}
}

// targetPorts adds the named ports that a pod lacks.
func (x *explainer) targetPorts(depth int, svc, pod *snapshot.Entry) {
	for _, port := range svc.Object.(*corev1.Service).Spec.Ports {
		if port.TargetPort.Type != intstr.String {
			continue
		}
		found := false
		for _, c := range pods.Containers(&pod.Object.(*corev1.Pod).Spec) {
			for _, have := range c.Ports {
				found = found || have.Name == port.TargetPort.StrVal
			}
		}
		if !found {
			x.add(depth, false, pod, "targetPort %q of port %d: %s has no port of that name", port.TargetPort.StrVal, port.Port, x.title(pod))
		}
	}
}
