package trace

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/admin/snapshot"
	"gantry/schema/core"
	"gantry/schema/pods"
)

// address follows an address and port: of a Service, a node or a pod.
func (t *tracer) address(q Question) {
	a := q.Address.Addr()
	if a.IsLoopback() {
		t.note(1, "%s is each pod's and each machine's own", a)
	}
	known := false
	for _, f := range []func(Question) bool{t.clusterIP, t.balancer, t.nodePort} {
		known = f(q) || known
	}
	if known {
		return
	}
	if t.podAddress(1, a, q.Address.Port(), q.Protocol) || t.hostPort(q) {
		return
	}
	if e := t.nodeOf(a); e != nil {
		t.add(1, false, e, "%s is an address of node %s; no Service has node port %d and no pod that host port: only a process of the node could listen there",
			a, e.Object.GetName(), q.Address.Port())
		t.stops = append(t.stops, "no Service or pod has that port of the node")
		return
	}
	t.add(1, false, nil, "no Service, node or pod has the address %s", a)
	t.stops = append(t.stops, "nothing in etcd has the address")
	t.leftover(q)
}

// leftover adds what the kernel has for an address that etcd does not know.
func (t *tracer) leftover(q Question) {
	if t.node == "" {
		return
	}
	for _, protocol := range q.protocols() {
		have, err := t.machine.Route(q.Address, protocol)
		if err == nil && have.Chain != "" {
			t.report.AddFrom(1, false, fromTable(q.Address.Addr()), "the kernel still sends %s/%s to %s", q.Address, protocol, list(have.endpoints()))
			t.note(2, "the proxy of node %s has not caught up with etcd: is it running?", t.node)
		}
	}
}

func (q Question) protocols() []string {
	if q.Protocol != "" {
		return []string{q.Protocol}
	}
	return []string{"tcp", "udp"}
}

// atAddress follows one Service with those of its ports that are at an address, and returns whether any is.
func (t *tracer) atAddress(q Question, e *snapshot.Entry, number func(*corev1.ServicePort) int32, r route) bool {
	svc, found := e.Object.(*corev1.Service), false
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		if number(p) != int32(q.Address.Port()) || !slices.Contains(q.protocols(), protocolOf(p)) {
			continue
		}
		if !found {
			t.add(1, svc.DeletionTimestamp == nil, e, "%s", t.describe(e))
		}
		found = true
		r.service, r.port, r.to, r.at = e, p, q.Address.Addr(), q.Address.Port()
		t.port(r)
	}
	return found
}

func ownPort(p *corev1.ServicePort) int32 { return p.Port }

// clusterIP follows the cluster IP of a Service. It returns whether one has the address.
func (t *tracer) clusterIP(q Question) bool {
	found := t.servicesWhere(func(svc *corev1.Service) bool { return slices.Contains(clusterIPs(svc), q.Address.Addr()) })
	for _, e := range found {
		if t.atAddress(q, e, ownPort, route{}) {
			continue
		}
		t.add(1, false, e, "%s", t.describe(e))
		t.add(2, false, e, "it has no port %s: connections are refused", q.portText())
		t.stops = append(t.stops, "the Service has no such port")
	}
	return len(found) > 0
}

func (q Question) portText() string {
	if q.Protocol == "" {
		return fmt.Sprint(q.Address.Port())
	}
	return fmt.Sprintf("%d/%s", q.Address.Port(), strings.ToUpper(q.Protocol))
}

// balancer follows a load balancer's address and an external IP.
func (t *tracer) balancer(q Question) (known bool) {
	a := q.Address.Addr().String()
	for _, e := range t.All(core.Service, "") {
		svc := e.Object.(*corev1.Service)
		if slices.Contains(svc.Spec.ExternalIPs, a) {
			known = true
			t.add(1, false, e, "%s: the proxy does not serve spec.externalIPs, by which anyone who may write a Service could take over any address (CVE-2020-8554)",
				t.describe(e))
			t.stops = append(t.stops, "external IPs are not served")
		}
		for _, in := range svc.Status.LoadBalancer.Ingress {
			if svc.Spec.Type != corev1.ServiceTypeLoadBalancer || in.IP != a {
				continue
			}
			if in.IPMode != nil && *in.IPMode == corev1.LoadBalancerIPModeProxy {
				t.add(1, true, e, "%s: the address is the load balancer's own (ipMode Proxy), which connects to node ports", t.describe(e))
				t.reach("the load balancer")
				known = true
				continue
			}
			switch ownNode := t.nodeOf(q.Address.Addr()) != nil; {
			case t.atAddress(q, e, ownPort, route{external: true}):
				known = true
			case !ownNode: // a node's address has more than this Service's ports
				t.add(1, false, e, "%s has the load balancer address, and no port %s", t.describe(e), q.portText())
				t.stops = append(t.stops, "the Service has no such port")
				known = true
			}
		}
	}
	return known
}

// nodeOf returns the Node that has an address.
func (t *tracer) nodeOf(a netip.Addr) *snapshot.Entry {
	for _, e := range t.All(core.Node, "") {
		if slices.Contains(nodeAddresses(e), a) {
			return e
		}
	}
	return nil
}

// nodePort follows a node port.
func (t *tracer) nodePort(q Question) (known bool) {
	n := t.nodeOf(q.Address.Addr())
	if n == nil {
		return false
	}
	number := func(p *corev1.ServicePort) int32 { return p.NodePort }
	for _, e := range t.servicesWhere(func(svc *corev1.Service) bool {
		return svc.Spec.Type == corev1.ServiceTypeNodePort || svc.Spec.Type == corev1.ServiceTypeLoadBalancer
	}) {
		known = t.atAddress(q, e, number, route{external: true, kernelOf: n.Object.GetName()}) || known
		if svc := e.Object.(*corev1.Service); svc.Spec.HealthCheckNodePort == int32(q.Address.Port()) {
			t.add(1, true, e, "%d is the health check node port of Service %s/%s: the proxy of each node answers there itself", q.Address.Port(), svc.Namespace, svc.Name)
			t.reach("the proxy of node " + n.Object.GetName())
			known = true
		}
	}
	return known
}

// podAddress follows the address of a pod. Port 0: any. It returns whether a pod has the address.
func (t *tracer) podAddress(depth int, a netip.Addr, port uint16, protocol string) bool {
	for _, e := range t.All(core.Pod, "") {
		p := e.Object.(*corev1.Pod)
		if !slices.Contains(podAddresses(p), a) || p.Spec.HostNetwork || pods.IsTerminal(p) {
			continue
		}
		if protocol == "" {
			protocol = "tcp"
		}
		if t.pod(depth, e, a, port, protocol) {
			t.reach(core.Pod.Kind + " " + p.Namespace + "/" + p.Name)
		} else {
			t.stops = append(t.stops, "the pod does not answer there")
		}
		return true
	}
	if port == 0 {
		t.add(depth, false, nil, "no pod has the address %s", a)
		t.stops = append(t.stops, "no pod has the address")
	}
	return false
}

// hostPort follows a host port of a pod. It returns whether a pod has it.
func (t *tracer) hostPort(q Question) bool {
	n := t.nodeOf(q.Address.Addr())
	if n == nil {
		return false
	}
	for _, e := range t.All(core.Pod, "") {
		p := e.Object.(*corev1.Pod)
		if p.Spec.NodeName != n.Object.GetName() || pods.IsTerminal(p) {
			continue
		}
		for c := range pods.LongRunning(&p.Spec) {
			for i := range c.Ports {
				if hp := &c.Ports[i]; q.isHostPort(hp) {
					t.toHostPort(q, e, hp)
					return true
				}
			}
		}
	}
	return false
}

func (q Question) isHostPort(p *corev1.ContainerPort) bool {
	own := p.HostIP == "" || p.HostIP == metav1.NamespaceAll || p.HostIP == "0.0.0.0" || p.HostIP == "::" || p.HostIP == q.Address.Addr().String()
	protocol := strings.ToLower(string(p.Protocol))
	if protocol == "" {
		protocol = "tcp"
	}
	return own && p.HostPort == int32(q.Address.Port()) && slices.Contains(q.protocols(), protocol)
}

// toHostPort follows a host port to its pod.
func (t *tracer) toHostPort(q Question, e *snapshot.Entry, hp *corev1.ContainerPort) {
	p := e.Object.(*corev1.Pod)
	protocol := protocolOf(&corev1.ServicePort{Protocol: hp.Protocol})
	var to netip.Addr
	for _, a := range podAddresses(p) {
		if a.Is4() == q.Address.Addr().Is4() {
			to = a
		}
	}
	t.add(1, to.IsValid(), e, "host port %d/%s of Pod %s/%s: port %d of the pod", hp.HostPort, protocol, p.Namespace, p.Name, hp.ContainerPort)
	if !to.IsValid() {
		t.why(2, e, nil)
		t.stops = append(t.stops, "the pod has no address")
		return
	}
	if !p.Spec.HostNetwork && p.Spec.NodeName == t.node {
		want := []endpoint{{addr: netip.AddrPortFrom(to, uint16(hp.ContainerPort)), ready: true}}
		r := route{service: e, port: &corev1.ServicePort{Port: hp.HostPort, Protocol: hp.Protocol}, to: q.Address.Addr(), at: q.Address.Port()}
		if len(t.kernel(r, want, want)) == 0 {
			t.stops = append(t.stops, "it stops at the kernel")
			return
		}
	}
	if t.pod(2, e, to, uint16(hp.ContainerPort), protocol) {
		t.reach(core.Pod.Kind + " " + p.Namespace + "/" + p.Name)
	} else {
		t.stops = append(t.stops, "the pod does not answer there")
	}
}
