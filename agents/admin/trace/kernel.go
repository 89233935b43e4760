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

// kernel adds what the kernel of this machine does with connections to a route's address, and returns whether it sends them to an endpoint. On a
// machine that is not a node it does not count. want are the endpoints that it should choose from, all those that the port has.
func (t *tracer) kernel(r route, want, all []endpoint) (leads bool) {
	to, protocol := netip.AddrPortFrom(r.to, r.at), protocolOf(r.port)
	title := fmt.Sprintf("%s, %s/%s", portName(r.port), to, protocol)
	switch {
	case t.node == "":
		t.note(2, "%s: the kernel is not read, this machine is not a node", title)
		return true
	case r.kernelOf != "" && r.kernelOf != t.node:
		t.note(2, "%s: the kernel of node %s has it, which is read by gantry trace there", title, r.kernelOf)
		return true
	}
	have, err := t.machine.Route(to, protocol)
	switch {
	case errors.Is(err, ErrAbsent):
		t.report.AddFrom(2, false, fromTable, "%s: there is no such table: no proxy has run on node %s", title, t.node)
		return false
	case err != nil:
		t.report.AddFrom(2, false, fromTable, "%s: the kernel cannot be read: %v", title, err)
		return true
	case have.Chain != "":
		leads = t.slots(title, have, want)
	default:
		t.unserved(title, have, want)
	}
	t.flows(to, protocol, all)
	return leads
}

// slots adds the endpoints that the kernel chooses from, and what differs from those of etcd.
func (t *tracer) slots(title string, have *Route, want []endpoint) (leads bool) {
	var known, foreign, missing []netip.AddrPort
	var holes []string
	isWanted := func(a netip.AddrPort) bool {
		return slices.ContainsFunc(want, func(p endpoint) bool { return p.addr == a })
	}
	for i, a := range have.Slots {
		switch {
		case !a.IsValid():
			holes = append(holes, strconv.Itoa(i))
		case isWanted(a):
			known = append(known, a)
		default:
			foreign = append(foreign, a)
		}
	}
	for _, p := range want {
		if !slices.Contains(have.Slots, p.addr) {
			missing = append(missing, p.addr)
		}
	}
	wanted := len(holes) == 0 && len(foreign) == 0 && len(missing) == 0
	valid := slices.DeleteFunc(slices.Clone(have.Slots), func(a netip.AddrPort) bool { return !a.IsValid() })
	t.report.AddFrom(2, wanted, fromTable, "%s: chain %s, to one of %s", title, have.Chain, list(valid))
	if len(holes) > 0 {
		t.report.AddFrom(3, false, fromTable, "the map slots has no element for number %s of %d: a connection that gets it goes nowhere",
			strings.Join(holes[:min(len(holes), maxShown)], ", "), len(have.Slots))
	}
	if len(foreign) > 0 {
		t.report.AddFrom(3, false, fromTable, "by etcd no connections are to go to %s", list(foreign))
	}
	if len(missing) > 0 {
		t.report.AddFrom(3, false, fromTable, "by etcd connections are to go to %s, too", list(missing))
	}
	if !wanted {
		t.behind()
	}
	return len(known) > 0
}

// unserved adds why the kernel has no endpoint for an address.
func (t *tracer) unserved(title string, have *Route, want []endpoint) {
	switch {
	case have.Unserved == "ignore":
		t.report.AddFrom(2, false, fromTable, "%s: chain ignore drops connections: only endpoints on this node would get them", title)
	case have.Unserved != "":
		t.report.AddFrom(2, false, fromTable, "%s: chain %s refuses connections: there is no endpoint", title, have.Unserved)
	case have.ClusterIP:
		t.report.AddFrom(2, false, fromTable, "%s: the map services has no element for it; the set cluster-ips has the address, so connections are refused", title)
	default:
		t.report.AddFrom(2, false, fromTable, "%s: the map services has no element for it, and connections are not translated", title)
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
		t.report.AddFrom(3, true, fromConntrack, "%s to endpoints of it", count(good, "connection"))
	}
	if untranslated > 0 {
		t.report.AddFrom(3, false, fromConntrack, "%s not translated: made before the kernel had an endpoint", count(untranslated, "connection"))
	}
	for i, a := range sortedKeys(dead) {
		if i == maxShown {
			t.report.AddFrom(3, false, fromConntrack, "and connections to %d more", len(dead)-maxShown)
			break
		}
		t.report.AddFrom(3, false, fromConntrack, "%s (from %s) to %s, %s: no answer comes back until the client connects anew", count(len(dead[a]), "connection"), dead[a][0].Client, a, t.whose(a.Addr()))
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
		if p := e.Object.(*corev1.Pod); p.Status.PodIP == a.String() && !p.Spec.HostNetwork {
			state := "which is no endpoint of it"
			if p.DeletionTimestamp != nil {
				state = "which is being deleted"
			}
			return fmt.Sprintf("the address of Pod %s/%s, %s", p.Namespace, p.Name, state)
		}
	}
	return "which no pod has"
}
