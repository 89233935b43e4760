package trace

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/admin/explain"
	"gantry/agents/admin/snapshot"
	"gantry/registry"
	"gantry/schema/core"
)

// Options say who asks, and how.
type Options struct {
	// Namespace is that of the pod that asks.
	Namespace string
	// Domain is the zone of the cluster's names: "cluster.local".
	Domain string
	// DNS is the name server that is asked, also from a machine that is not a node; the zero value: the address of the Service kube-dns.
	DNS netip.Addr
	Now time.Time
}

// tracer follows one name or address.
type tracer struct {
	*snapshot.Snapshot
	Options
	ctx      context.Context
	registry *registry.Registry
	machine  Machine
	node     string // this machine's Node, "": it is none
	report   explain.Report

	reached      []string // what the chain leads to, for the verdict
	stops        []string // where it does not lead on
	nameStops    string   // where the name does not lead on, though what it stands for may; "": nowhere
	elsewhere    []string // nodes whose containers are not read here
	engineSilent bool     // the engine was asked and did not answer: it is not asked again
	explained    bool     // a Service's pods that are not ready are explained, once for all its ports
}

// Trace follows what is reached by a name or an address, as Parse reads it. r is where the scheduler's plug-ins, which explain pending pods, read
// objects.
func Trace(ctx context.Context, s *snapshot.Snapshot, r *registry.Registry, m Machine, o Options, q Question) *explain.Report {
	t := &tracer{Snapshot: s, Options: o, ctx: ctx, registry: r, machine: m, report: explain.Report{Revision: s.Revision}}
	t.node = t.thisNode()
	if q.Name != "" {
		t.name(q)
	} else {
		t.address(q)
	}
	if len(t.elsewhere) > 0 {
		slices.Sort(t.elsewhere)
		t.note(1, "what Docker has on node %s is read by gantry trace there", strings.Join(slices.Compact(t.elsewhere), ", "))
	}
	ok, text := t.verdict(q)
	t.report.Lines = slices.Insert(t.report.Lines, 0, explain.Line{Wanted: ok, Text: text})
	return &t.report
}

// verdict is the first line of the report.
func (t *tracer) verdict(q Question) (ok bool, text string) {
	leads := "leads to no endpoint"
	switch len(t.reached) {
	case 0:
	case 1:
		leads = "leads to " + t.reached[0]
	default:
		leads = fmt.Sprintf("leads to %d endpoints", len(t.reached))
	}
	if len(t.stops) > 0 {
		leads += ": " + strings.Join(t.stops, "; ")
		if len(t.reached) > 0 {
			leads = strings.Replace(leads, ": ", ", but ", 1)
		}
	}
	who := q.String()
	if q.Name != "" {
		who += ", as a pod of namespace " + t.Namespace + " asks for it,"
	}
	switch {
	case t.nameStops == "" && len(t.stops) == 0 && slices.ContainsFunc(t.report.Lines, func(l explain.Line) bool { return !l.Wanted }):
		return false, who + " " + leads + ", though not all is as wanted"
	case t.nameStops == "":
		return len(t.stops) == 0 && len(t.reached) > 0, who + " " + leads
	case len(t.reached) == 0 && len(t.stops) == 0:
		return false, who + " stops at " + t.nameStops
	}
	return false, fmt.Sprintf("%s stops at %s; what it stands for %s", who, t.nameStops, leads)
}

// thisNode returns the name of the Node that this machine is: that of its name, or one that has an address of it.
func (t *tracer) thisNode() string {
	if name := t.machine.NodeName(); t.Get(core.Node, "", name) != nil {
		return name
	}
	own := t.machine.Addresses()
	for _, e := range t.All(core.Node, "") {
		for _, a := range nodeAddresses(e) {
			if slices.Contains(own, a) {
				return e.Object.GetName()
			}
		}
	}
	return ""
}

func nodeAddresses(e *snapshot.Entry) (all []netip.Addr) {
	for _, a := range e.Object.(*corev1.Node).Status.Addresses {
		if ip, err := netip.ParseAddr(a.Address); err == nil && (a.Type == corev1.NodeInternalIP || a.Type == corev1.NodeExternalIP) {
			all = append(all, ip)
		}
	}
	return all
}

// add adds a line about an object in etcd.
func (t *tracer) add(depth int, wanted bool, e *snapshot.Entry, format string, args ...any) {
	t.report.Add(depth, wanted, e, format, args...)
}

// note adds a line that was read nowhere.
func (t *tracer) note(depth int, format string, args ...any) {
	t.add(depth, true, nil, format, args...)
}

// why adds what gantry why says of an object that is not as wanted: the lines that say why, below depth. What is about the objects at the keys of
// followed is left out.
func (t *tracer) why(depth int, e *snapshot.Entry, followed map[string]bool) {
	r := explain.Explain(t.Snapshot, t.registry, e.Kind, e.Object.GetNamespace(), e.Object.GetName(), t.Now)
	if r == nil || len(r.Lines) == 0 {
		return
	}
	skipped := 0 // the depth of the line that is left out with those below it; 0: none
	for _, l := range r.Lines[1:] {
		if skipped > 0 && l.Depth > skipped {
			continue
		}
		skipped = 0
		if followed[l.Key] {
			skipped = l.Depth
		} else if !l.Wanted {
			l.Depth += depth - 1
			t.report.Lines = append(t.report.Lines, l)
		}
	}
}

// maxShown is how many of several endpoints, records or connections are shown; the others are counted.
const maxShown = 8

// list is the first of several words, and how many more there are.
func list[T fmt.Stringer](all []T) string {
	var words []string
	for _, x := range all {
		words = append(words, x.String())
	}
	if more := len(words) - maxShown; more > 0 {
		words = append(words[:maxShown], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, ", ")
}
