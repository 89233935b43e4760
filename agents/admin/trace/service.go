package trace

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/admin/explain"
	"gantry/agents/admin/snapshot"
	"gantry/schema/core"
)

// proxyNameLabel has proxies leave out a Service.
const proxyNameLabel = "service.kubernetes.io/service-proxy-name"

// service follows the wanted ports of a Service from its name. host is the endpoint of that hostname only, "": all. answer is the name
// server's, nil: there is none.
func (t *tracer) service(e *snapshot.Entry, wanted func(*corev1.ServicePort) bool, host string, answer *Answer) {
	svc := e.Object.(*corev1.Service)
	t.add(1, svc.DeletionTimestamp == nil, e, "%s", t.describe(e))
	if svc.Spec.Type == corev1.ServiceTypeExternalName {
		t.externalName(e, answer)
		return
	}
	addresses := clusterIPs(svc)
	headless := svc.Spec.ClusterIP == corev1.ClusterIPNone
	if !headless && host == "" {
		t.compareAnswer(e, answer, addresses)
	}
	if headless {
		t.compareAnswer(e, answer, t.published(e, host))
	}
	if !headless && len(addresses) == 0 {
		t.add(2, false, e, "it has no cluster IP")
		t.stops = append(t.stops, "the Service has no address")
		return
	}
	ports := svc.Spec.Ports
	if headless && len(ports) == 0 {
		ports = []corev1.ServicePort{{Protocol: corev1.ProtocolTCP}}
	}
	found := false
	for i := range ports {
		if p := &ports[i]; wanted(p) {
			found = true
			if headless || host != "" {
				t.port(route{service: e, port: p, host: host})
				continue
			}
			for _, a := range addresses {
				t.port(route{service: e, port: p, to: a, at: uint16(p.Port)})
			}
		}
	}
	if !found {
		t.add(2, false, e, "it has no such port")
		t.stops = append(t.stops, "the Service has no such port")
	}
}

// describe is "Service default/web: ClusterIP 10.96.0.7, port http 80/TCP to 8080 of its pods".
func (t *tracer) describe(e *snapshot.Entry) string {
	svc := e.Object.(*corev1.Service)
	if svc.Spec.Type == corev1.ServiceTypeExternalName {
		return fmt.Sprintf("%s: ExternalName %s", explain.Title(e), svc.Spec.ExternalName)
	}
	parts := []string{string(cmp.Or(svc.Spec.Type, corev1.ServiceTypeClusterIP))}
	if svc.Spec.ClusterIP == corev1.ClusterIPNone {
		parts[0] = "headless"
	} else if svc.Spec.ClusterIP != "" {
		parts[0] += " " + cmp.Or(strings.Join(svc.Spec.ClusterIPs, ", "), svc.Spec.ClusterIP)
	}
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		text := portName(p)
		if target := p.TargetPort.String(); target != "0" && target != "" {
			text += " to " + target
			if len(svc.Spec.Selector) > 0 {
				text += " of its pods"
			}
		}
		if p.NodePort != 0 {
			text += fmt.Sprintf(", node port %d", p.NodePort)
		}
		parts = append(parts, text)
	}
	if svc.DeletionTimestamp != nil {
		parts = append(parts, "it is being deleted")
	}
	return explain.Title(e) + ": " + strings.Join(parts, "; ")
}

// portName is "port http 80/TCP".
func portName(p *corev1.ServicePort) string {
	text := "port "
	if p.Name != "" {
		text += p.Name + " "
	}
	return text + fmt.Sprintf("%d/%s", p.Port, cmp.Or(p.Protocol, corev1.ProtocolTCP))
}

func protocolOf(p *corev1.ServicePort) string {
	return strings.ToLower(string(cmp.Or(p.Protocol, corev1.ProtocolTCP)))
}

// externalName compares the answer with the name that a Service stands for.
func (t *tracer) externalName(e *snapshot.Entry, answer *Answer) {
	want := strings.ToLower(strings.TrimSuffix(e.Object.(*corev1.Service).Spec.ExternalName, "."))
	t.note(2, "it has no address and no endpoints; who serves %s is not the cluster's matter", want)
	switch {
	case answer == nil && t.nameStops == "":
		t.reached = append(t.reached, want+", outside of the cluster")
		return
	case answer == nil:
		return
	}
	if !slices.ContainsFunc(answer.Records, func(r Record) bool { return r.Type == "CNAME" && strings.EqualFold(r.Data, want) }) {
		t.add(2, false, e, "the answer does not name %s: the dns agent has not caught up", want)
	}
	if len(answer.addresses()) == 0 {
		t.add(2, false, nil, "%s itself has no address", want)
		t.stops = append(t.stops, want+" has no address")
		return
	}
	t.outside(answer)
}

// compareAnswer adds where the name server's addresses are not those of etcd. want is sorted.
func (t *tracer) compareAnswer(e *snapshot.Entry, answer *Answer, want []netip.Addr) {
	if answer == nil {
		return
	}
	have := answer.addresses()
	if len(have) == 0 && slices.ContainsFunc(answer.Records, func(r Record) bool { return r.Type == "SRV" }) || slices.Equal(have, want) {
		return
	}
	text := "no address"
	if len(want) > 0 {
		text = list(want)
	}
	t.add(2, false, e, "by etcd its name has %s, the answer is %s: the dns agent has not caught up", text, list(have))
	if !slices.ContainsFunc(have, func(a netip.Addr) bool { return slices.Contains(want, a) }) {
		t.nameStops = "the name server's answer"
	}
}

func clusterIPs(svc *corev1.Service) (all []netip.Addr) {
	for _, text := range append([]string{svc.Spec.ClusterIP}, svc.Spec.ClusterIPs...) {
		if a, err := netip.ParseAddr(text); err == nil && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return all
}

// route is one port of a Service as a client reaches it.
type route struct {
	service *snapshot.Entry
	port    *corev1.ServicePort
	// to and at are the address and port that the client connects to; no address: that of the endpoints.
	to netip.Addr
	at uint16
	// external: the address is a node's, a load balancer's or an external one, so externalTrafficPolicy counts.
	external bool
	// kernelOf is the node whose kernel serves the address, "": every node's.
	kernelOf string
	host     string // the endpoint of that hostname only
}

// port follows one port: over the kernel and the slices to the endpoints.
func (t *tracer) port(r route) {
	svc := r.service.Object.(*corev1.Service)
	protocol := protocolOf(r.port)
	fail := func(format string, args ...any) {
		t.stops = append(t.stops, fmt.Sprintf("%s stops at %s", portName(r.port), fmt.Sprintf(format, args...)))
	}
	if protocol != "tcp" && protocol != "udp" {
		t.add(2, false, r.service, "%s is not served: the proxy knows TCP and UDP", portName(r.port))
		fail("its protocol")
		return
	}
	entries, all := t.endpoints(r)
	if proxy := svc.Labels[proxyNameLabel]; proxy != "" && r.to.IsValid() {
		t.otherProxy(r, proxy, len(all) > 0)
		return
	}
	want := t.chosen(all, svc, r.external)
	to := want
	if r.to.IsValid() {
		to = t.kernel(r, want, all)
	} else {
		t.note(2, "%s: clients connect to the endpoints themselves, no address is translated", portName(r.port))
	}
	ready := t.showSlices(r, entries, all)
	switch {
	case len(ready) == 0:
		t.notReady(r, all)
		fail("the endpoints: none is ready")
		return
	case len(want) == 0:
		t.add(3, false, r.service, "%s: no endpoint is on node %s, and only those get its connections", policy(svc, r.external), t.node)
		fail("the traffic policy")
		return
	case len(to) == 0:
		fail("the kernel")
	}
	if len(want) < len(ready) {
		by := "topology hints"
		if text := policy(svc, r.external); strings.HasSuffix(text, " Local") {
			by = text
		}
		t.add(3, true, r.service, "%d of them get connections on node %s, by %s", len(want), t.node, by)
	}
	if t.follow(want, to, protocol) == 0 && len(to) > 0 {
		fail("the pods")
	}
	if len(ready) < len(all) {
		t.notReady(r, all)
	}
}

// follow follows the endpoints that are to get a port's connections, and returns how many of those that get them, to, answer as far as is known.
func (t *tracer) follow(want, to []endpoint, protocol string) (reached int) {
	for i, p := range want {
		ok := true
		if i < maxShown {
			ok = t.endpoint(3, p, protocol)
		}
		if ok && slices.ContainsFunc(to, func(x endpoint) bool { return x.addr == p.addr }) {
			reached++
			t.reach(p.name())
		}
	}
	if more := len(want) - maxShown; more > 0 {
		t.note(3, "and %d more endpoints", more)
	}
	return reached
}

// reach adds something that the chain leads to.
func (t *tracer) reach(name string) {
	if !slices.Contains(t.reached, name) {
		t.reached = append(t.reached, name)
	}
}

// policy is the traffic policy that counts for a client.
func policy(svc *corev1.Service, external bool) string {
	if external {
		return fmt.Sprintf("externalTrafficPolicy %s", svc.Spec.ExternalTrafficPolicy)
	}
	text := corev1.ServiceInternalTrafficPolicyCluster
	if p := svc.Spec.InternalTrafficPolicy; p != nil {
		text = *p
	}
	return fmt.Sprintf("internalTrafficPolicy %s", text)
}

// maxNotReady is how many pods of a Service that are not ready are followed.
const maxNotReady = 3

// notReady follows endpoints that are not ready, and adds why the Service has no others. It is said once for all ports of a Service.
func (t *tracer) notReady(r route, all []endpoint) {
	svc := r.service.Object.(*corev1.Service)
	if len(svc.Spec.Selector) > 0 {
		if !t.explained {
			t.explained = true
			t.why(2, r.service, t.followNotReady(all, protocolOf(r.port)))
		}
		return
	}
	if len(all) == 0 {
		t.add(2, false, r.service, "it has no selector, and no EndpointSlice of it has an endpoint for %s", portName(r.port))
	}
	for i, p := range all {
		if !p.ready && i < maxShown {
			t.add(2, false, p.slice, "%s is not ready, says whoever made the slice: the Service has no selector", p.addr)
		}
	}
}

// followNotReady follows the first endpoints that are not available, and returns the keys of their pods.
func (t *tracer) followNotReady(all []endpoint, protocol string) map[string]bool {
	followed, some := map[string]bool{}, available(all)
	for _, p := range all {
		e := t.Get(core.Pod, p.slice.Object.GetNamespace(), p.pod)
		if e == nil || len(followed) == maxNotReady || slices.ContainsFunc(some, func(x endpoint) bool { return x.addr == p.addr }) {
			continue
		}
		t.endpoint(3, p, protocol)
		followed[e.Key] = true
	}
	return followed
}

// otherProxy follows an address that the proxy does not serve: that of the name servers, or of a proxy that is not Gantry's.
func (t *tracer) otherProxy(r route, proxy string, hasEndpoints bool) {
	svc := r.service.Object.(*corev1.Service)
	if svc.Namespace != metav1.NamespaceSystem || svc.Name != kubeDNS || hasEndpoints {
		t.add(2, false, r.service, "its label %s leaves it to the proxy %q", proxyNameLabel, proxy)
		t.stops = append(t.stops, fmt.Sprintf("%s is another proxy's", portName(r.port)))
		return
	}
	t.add(2, true, r.service, "%s: the dns agent of each node answers at %s itself, no address is translated", portName(r.port), r.to)
	if r.port.Port != 53 || t.node == "" {
		t.reach("the dns agent")
		return
	}
	const name = "kubernetes.default.svc"
	recordType := "A"
	if e := t.Get(core.Service, metav1.NamespaceDefault, "kubernetes"); e != nil && strings.Contains(e.Object.(*corev1.Service).Spec.ClusterIP, ":") {
		recordType = "AAAA"
	}
	a, err := t.machine.Ask(t.ctx, r.to, name+"."+t.Domain, recordType)
	switch {
	case err != nil:
		t.report.AddFrom(2, false, fromDNS(r.to), "it does not answer: %v", err)
		t.stops = append(t.stops, "the dns agent does not answer")
	case a.Code != "NOERROR":
		t.report.AddFrom(2, false, fromDNS(r.to), "its answer for %s.%s is %s", name, t.Domain, a.Code)
		t.reach("the dns agent")
	default:
		t.report.AddFrom(2, true, fromDNS(r.to), "%s", answerText(name+"."+t.Domain, a))
		t.reach("the dns agent")
	}
}

// servicesWhere are the Services that f is true of.
func (t *tracer) servicesWhere(f func(*corev1.Service) bool) (all []*snapshot.Entry) {
	for _, e := range t.All(core.Service, "") {
		if f(e.Object.(*corev1.Service)) {
			all = append(all, e)
		}
	}
	return all
}
