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

// kubeDNS is the name of the Service at the address of the name server, in kube-system.
const kubeDNS = "kube-dns"

// name follows a name: over the answers of the name server, and what etcd has for the name that is answered.
func (t *tracer) name(q Question) {
	searches := append([]string{t.Namespace + ".svc." + t.Domain, "svc." + t.Domain, t.Domain}, t.machine.Searches()...)
	names := candidates(q.Name, searches)
	recordType := "A"
	if strings.HasPrefix(q.Name, "_") {
		recordType = "SRV"
	}
	if t.Get(core.Namespace, "", t.Namespace) == nil {
		t.add(1, false, nil, "namespace %s does not exist: no pod of it asks", t.Namespace)
	}
	name, answer := t.resolve(names, recordType)
	if name == "" {
		if name = t.meant(names); name == "" {
			t.unknown(q, names)
			return
		}
	}
	x, ok := parseName(name, t.Domain)
	switch {
	case !ok && (name == t.Domain || strings.HasSuffix(name, "."+t.Domain)):
		t.nameStops = "the name"
		t.add(1, false, nil, "%s is the name of no Service and no pod", name)
	case !ok:
		t.note(1, "%s is not of the zone %s: the servers of the node's resolv.conf, or of the config map %s, answer for it", name, t.Domain, kubeDNS)
		t.outside(answer)
	case x.pod.IsValid():
		t.podAddress(1, x.pod, 0, "")
	default:
		t.named(x, answer)
	}
}

// outside notes where an answer leads that is not the cluster's.
func (t *tracer) outside(a *Answer) {
	if a == nil {
		return
	}
	for _, r := range a.Records {
		if r.Type != "CNAME" {
			t.reached = append(t.reached, r.Data+", outside of the cluster")
		}
	}
}

// named follows what a name of a Service stands for. answer is what was answered; nil: nothing was.
func (t *tracer) named(x target, answer *Answer) {
	e := t.Get(core.Service, x.namespace, x.service)
	if e == nil {
		t.nameStops = "the Service"
		t.add(1, false, nil, "etcd has no Service %s/%s: the dns agent has not caught up, or is of another cluster", x.namespace, x.service)
		return
	}
	t.service(e, x.isPort, x.host, answer)
}

// server is the name server that is asked; false: none is, and a line says why.
func (t *tracer) server() (netip.Addr, bool) {
	if t.DNS.IsValid() {
		return t.DNS, true
	}
	e := t.Get(core.Service, metav1.NamespaceSystem, kubeDNS)
	if e == nil {
		t.add(1, false, nil, "there is no Service %s/%s, whose address is the name server's: the controller kubedns makes it", metav1.NamespaceSystem, kubeDNS)
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(e.Object.(*corev1.Service).Spec.ClusterIP)
	switch {
	case err != nil:
		t.add(1, false, e, "Service %s/%s has no address", metav1.NamespaceSystem, kubeDNS)
		return a, false
	case t.node == "":
		t.add(1, true, e, "the name server %s is not asked: this machine is not a node", a)
		return a, false
	}
	return a, true
}

// resolve asks for one name after the other, as a pod's resolver does, and returns the one that has an answer. "": none has.
func (t *tracer) resolve(names []string, recordType string) (string, *Answer) {
	server, ok := t.server()
	if !ok {
		return "", nil
	}
	from := fromDNS(server)
	for _, name := range names {
		a, err := t.ask(server, name, recordType)
		if err != nil {
			t.nameStops = "the name server"
			t.report.AddFrom(1, false, from, "there is no answer for %s: %v; what follows is by etcd alone", name, err)
			if t.node != "" {
				t.note(2, "the dns agent of node %s answers at that address: is it running?", t.node)
			}
			return "", nil
		}
		if a.Code == "NOERROR" && len(a.Records) > 0 {
			t.report.AddFrom(1, true, from, "%s", answerText(name, a))
			return name, a
		}
		t.unanswered(from, name, a)
	}
	t.nameStops = "the name"
	return "", nil
}

// ask asks for a name as a pod's resolver does: for addresses of both families.
func (t *tracer) ask(server netip.Addr, name, recordType string) (*Answer, error) {
	a, err := t.machine.Ask(t.ctx, server, name, recordType)
	if err != nil || recordType != "A" || a.Code != "NOERROR" {
		return a, err
	}
	six, err := t.machine.Ask(t.ctx, server, name, "AAAA")
	if err != nil {
		return nil, err
	}
	alone := len(a.Records) == 0
	for _, r := range six.Records {
		if r.Type == "AAAA" || alone {
			a.Records = append(a.Records, r)
		}
	}
	return a, nil
}

// unanswered adds why a name has no answer. It is as wanted where etcd does not know the name either.
func (t *tracer) unanswered(from, name string, a *Answer) {
	if len(a.Records) > 0 {
		t.report.AddFrom(1, false, from, "%s: the answer for that is %s", answerText(name, a), a.Code)
		return
	}
	text := name + " does not exist (NXDOMAIN)"
	switch a.Code {
	case "NXDOMAIN":
	case "NOERROR":
		text = name + " exists, without an address"
	default:
		text = fmt.Sprintf("the answer for %s is %s", name, a.Code)
	}
	e := t.known(name)
	switch _, zone := parseName(name, t.Domain); {
	case a.Code == "SERVFAIL" && zone:
		t.report.AddFrom(1, false, from, "%s: the dns agent has not read the Services yet; is etcd there?", text)
	case e == nil:
		t.report.AddFrom(1, a.Code == "NXDOMAIN" || a.Code == "NOERROR", from, "%s", text)
	case a.Code == "NOERROR":
		t.report.AddFrom(1, false, from, "%s: no endpoint of %s is ready", text, explain.Title(e))
	default:
		t.report.AddFrom(1, false, from, "%s, though %s is there: the dns agent has not caught up", text, explain.Title(e))
	}
}

// known returns the Service that a name is one of, by etcd.
func (t *tracer) known(name string) *snapshot.Entry {
	x, ok := parseName(name, t.Domain)
	if !ok || x.service == "" {
		return nil
	}
	e := t.Get(core.Service, x.namespace, x.service)
	switch {
	case e == nil, x.host != "" && !t.hasHost(e, x.host):
		return nil
	case x.port != "" && !slices.ContainsFunc(e.Object.(*corev1.Service).Spec.Ports, func(p corev1.ServicePort) bool { return x.isPort(&p) }):
		return nil
	}
	return e
}

// isPort tells whether a port of the Service is meant.
func (x target) isPort(p *corev1.ServicePort) bool {
	return x.port == "" || p.Name == x.port && protocolOf(p) == x.protocol
}

// meant is the first of names that etcd knows; "": none.
func (t *tracer) meant(names []string) string {
	for _, name := range names {
		if x, ok := parseName(name, t.Domain); ok && x.pod.IsValid() || t.known(name) != nil {
			return name
		}
	}
	return ""
}

// unknown says that a name is that of nothing, and which Services have a name like it.
func (t *tracer) unknown(q Question, names []string) {
	t.nameStops = "the name"
	t.add(1, false, nil, "no Service has one of the names %s", strings.Join(names, ", "))
	for _, name := range names {
		if x, ok := parseName(name, t.Domain); ok && (x.port != "" || x.host != "") {
			if e := t.Get(core.Service, x.namespace, x.service); e != nil {
				t.add(2, false, e, "%s: it has nothing that is named %s", t.describe(e), cmp.Or(x.host, x.port+"/"+x.protocol))
				return
			}
		}
	}
	first, rest, _ := strings.Cut(q.Name, ".")
	shown := 0
	for _, e := range t.All(core.Service, "") {
		if e.Object.GetName() == first && e.Object.GetNamespace() != t.Namespace && shown < maxShown {
			shown++
			t.add(2, false, e, "there is a %s: a pod of namespace %s asks for it as %s.%s", explain.Title(e), t.Namespace, first, e.Object.GetNamespace())
		}
	}
	namespace, _, _ := strings.Cut(rest, ".")
	if rest != "" && t.Get(core.Namespace, "", namespace) == nil {
		t.add(2, false, nil, "there is no namespace %s", namespace)
	}
}

// answerText says what a name is, by its answer: "web.default.svc.cluster.local is 10.96.0.7".
func answerText(name string, a *Answer) string {
	var data []string
	text := name
	for _, r := range a.Records {
		switch r.Type {
		case "CNAME":
			text += " is another name of " + r.Data + ", which"
		case "SRV":
			f := strings.Fields(r.Data) // priority, weight, port, target
			if len(f) == 4 {
				data = append(data, "port "+f[2]+" of "+strings.TrimSuffix(f[3], "."))
			}
		default:
			data = append(data, r.Data)
		}
	}
	if len(data) == 0 {
		return text + " has no address"
	}
	if more := len(data) - maxShown; more > 0 {
		data = append(data[:maxShown], fmt.Sprintf("and %d more", more))
	}
	return text + " is " + strings.Join(data, ", ")
}

// addresses are those of an answer, sorted.
func (a *Answer) addresses() (all []netip.Addr) {
	for _, r := range a.Records {
		if ip, err := netip.ParseAddr(r.Data); err == nil && (r.Type == "A" || r.Type == "AAAA") {
			all = append(all, ip)
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}
