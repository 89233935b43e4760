package trace

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"gantry/schema/core"
)

// kernel adds what the kernel of this machine does with connections to a route's address, and returns the endpoints that it sends them to. want are
// those that it should choose from, which it is taken to do where it is not read; all are those that the port has.
func (t *tracer) kernel(r route, want, all []endpoint) (to []endpoint) {
	at, protocol := netip.AddrPortFrom(r.to, r.at), protocolOf(r.port)
	table := fromTable(r.to)
	title := fmt.Sprintf("%s, %s/%s", portName(r.port), at, protocol)
	switch {
	case t.node == "":
		t.note(2, "%s: the kernel is not read, this machine is not a node", title)
		return want
	case r.kernelOf != "" && r.kernelOf != t.node:
		t.note(2, "%s: the kernel of node %s has it, which is read by gantry trace there", title, r.kernelOf)
		return want
	}
	have, err := t.machine.Route(at, protocol)
	switch {
	case errors.Is(err, ErrAbsent):
		t.report.AddFrom(2, false, table, "%s: there is no such table: no proxy has run on node %s", title, t.node)
		return nil
	case err != nil:
		t.report.AddFrom(2, false, table, "%s: the kernel cannot be read: %v", title, err)
		return want
	case have.Chain != "":
		to = t.slots(table, title, have, want)
	default:
		t.unserved(table, title, have, want)
	}
	if have.Restricted {
		t.sources(table, have)
	}
	t.flows(at, protocol, all)
	return to
}

// endpoints are the slots that have an element.
func (r *Route) endpoints() []netip.AddrPort {
	return slices.DeleteFunc(slices.Clone(r.Slots), func(a netip.AddrPort) bool { return !a.IsValid() })
}

// slots adds the endpoints that the kernel chooses from, and what differs from those of etcd. It returns those that are wanted.
func (t *tracer) slots(table, title string, have *Route, want []endpoint) (to []endpoint) {
	var foreign, missing []netip.AddrPort
	var holes []string
	for i, a := range have.Slots {
		switch {
		case !a.IsValid():
			holes = append(holes, strconv.Itoa(i))
		case !slices.ContainsFunc(want, func(p endpoint) bool { return p.addr == a }):
			foreign = append(foreign, a)
		}
	}
	for _, p := range want {
		if slices.Contains(have.Slots, p.addr) {
			to = append(to, p)
		} else {
			missing = append(missing, p.addr)
		}
	}
	wanted := len(holes) == 0 && len(foreign) == 0 && len(missing) == 0
	t.report.AddFrom(2, wanted, table, "%s: chain %s, to one of %s", title, have.Chain, list(have.endpoints()))
	if len(holes) > 0 {
		t.report.AddFrom(3, false, table, "the map slots has no element for number %s of %d: a connection that gets it goes nowhere",
			strings.Join(holes[:min(len(holes), maxShown)], ", "), len(have.Slots))
	}
	if len(foreign) > 0 {
		t.report.AddFrom(3, false, table, "by etcd no connections are to go to %s", list(foreign))
	}
	if len(missing) > 0 {
		t.report.AddFrom(3, false, table, "by etcd connections are to go to %s, too", list(missing))
	}
	if !wanted {
		t.behind()
	}
	return to
}

// sources adds the clients whose packets are not dropped.
func (t *tracer) sources(table string, have *Route) {
	var parts []string
	for _, s := range have.Sources {
		parts = append(parts, s[0].String()+"-"+s[1].String())
	}
	if more := len(parts) - maxShown; more > 0 {
		parts = append(parts[:maxShown], fmt.Sprintf("and %d more", more))
	}
	if len(parts) == 0 {
		parts = []string{"nobody"}
	}
	t.report.AddFrom(3, true, table, "set source-ranges: open to %s; packets of others are dropped", strings.Join(parts, ", "))
}

// unserved adds why the kernel has no endpoint for an address.
func (t *tracer) unserved(table, title string, have *Route, want []endpoint) {
	switch {
	case have.Unserved == "ignore":
		t.report.AddFrom(2, false, table, "%s: chain ignore drops connections: only endpoints on this node would get them", title)
	case have.Unserved != "":
		t.report.AddFrom(2, false, table, "%s: chain %s refuses connections: there is no endpoint", title, have.Unserved)
	case have.ClusterIP:
		t.report.AddFrom(2, false, table, "%s: the map services has no element for it; the set cluster-ips has the address, so connections are refused", title)
	default:
		t.report.AddFrom(2, false, table, "%s: the map services has no element for it, and connections are not translated", title)
	}
	if len(want) > 0 || have.Unserved == "" {
		t.behind()
	}
}

// behind notes who makes the table that of etcd.
func (t *tracer) behind() {
	t.note(3, "the proxy of node %s has not caught up with etcd, or its elements were changed: is it running?", t.node)
}

// ended are the states of TCP connections on which nothing is sent any more.
var ended = []string{"TIME_WAIT", "CLOSE", "LAST_ACK", "FIN_WAIT"}

// flows adds the connections to an address that go to something else than its endpoints.
func (t *tracer) flows(to netip.AddrPort, protocol string, all []endpoint) {
	flows, err := t.machine.Flows(to, protocol)
	if err != nil {
		t.report.AddFrom(3, false, fromConntrack, "the connections cannot be read: %v", err)
		return
	}
	what, until := "connection", "the client connects anew"
	if protocol == "udp" {
		what, until = "flow", "the client takes another port, or the proxy deletes the entry"
	}
	good, untranslated := 0, 0
	dead := map[netip.AddrPort][]Flow{}
	for _, f := range flows {
		switch {
		case slices.ContainsFunc(all, func(p endpoint) bool { return p.addr == f.Endpoint }):
			good++
		case slices.Contains(ended, f.State):
		case f.Endpoint == to:
			untranslated++
		default:
			dead[f.Endpoint] = append(dead[f.Endpoint], f)
		}
	}
	if good > 0 {
		t.report.AddFrom(3, true, fromConntrack, "%s to endpoints of it", count(good, what))
	}
	if untranslated > 0 {
		t.report.AddFrom(3, false, fromConntrack, "%s not translated: made before the kernel had an endpoint", count(untranslated, what))
	}
	for i, a := range sortedKeys(dead) {
		if i == maxShown {
			t.report.AddFrom(3, false, fromConntrack, "and %ss to %d more", what, len(dead)-maxShown)
			break
		}
		t.report.AddFrom(3, false, fromConntrack, "%s (from %s) to %s, %s: no answer comes back until %s",
			count(len(dead[a]), what), dead[a][0].Client, a, t.whose(a.Addr()), until)
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func sortedKeys(m map[netip.AddrPort][]Flow) (all []netip.AddrPort) {
	for a := range m {
		all = append(all, a)
	}
	slices.SortFunc(all, netip.AddrPort.Compare)
	return all
}

// whose says which pod has an address.
func (t *tracer) whose(a netip.Addr) string {
	for _, e := range t.All(core.Pod, "") {
		if p := e.Object.(*corev1.Pod); slices.Contains(podAddresses(p), a) && !p.Spec.HostNetwork {
			state := "which is no endpoint of it"
			if p.DeletionTimestamp != nil {
				state = "which is being deleted"
			}
			return fmt.Sprintf("the address of Pod %s/%s, %s", p.Namespace, p.Name, state)
		}
	}
	return "which no pod has"
}
