package trace

import (
	"fmt"
	"net/netip"
	"strings"
)

// Question is what is traced: a name, or an address with a port.
type Question struct {
	Name     string
	Address  netip.AddrPort
	Protocol string // "tcp" or "udp"; "": whatever is served there
}

// Parse reads a name ("web", "web.shop", "_http._tcp.web", or a Service as "shop/web") or an address ("10.96.0.7:80", "10.96.0.7:53/udp").
func Parse(arg string) (Question, error) {
	at, protocol, found := strings.Cut(arg, "/")
	if a, err := netip.ParseAddrPort(at); err == nil {
		protocol = strings.ToLower(protocol)
		if found && protocol != "tcp" && protocol != "udp" {
			return Question{}, fmt.Errorf("%q: the protocol is none of tcp, udp", arg)
		}
		if a.Port() == 0 {
			return Question{}, fmt.Errorf("%q: no connection is made to port 0", arg)
		}
		return Question{Address: netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), Protocol: protocol}, nil
	}
	if _, err := netip.ParseAddr(arg); err == nil {
		return Question{}, fmt.Errorf("%q: an address needs a port, as %s:80", arg, arg)
	}
	name := arg
	if found {
		name = protocol + "." + at // namespace/name
	}
	name = strings.ToLower(name)
	trimmed := strings.TrimSuffix(name, ".")
	for label := range strings.SplitSeq(trimmed, ".") {
		if len(label) == 0 || len(label) > 63 || strings.ContainsAny(label, "/: \t\\") {
			return Question{}, fmt.Errorf("%q is neither a name nor ADDRESS:PORT", arg)
		}
	}
	if len(trimmed) > 253 {
		return Question{}, fmt.Errorf("%q is longer than a name may be", arg)
	}
	return Question{Name: name}, nil
}

func (q Question) String() string {
	switch {
	case q.Name != "":
		return q.Name
	case q.Protocol != "":
		return q.Address.String() + "/" + q.Protocol
	}
	return q.Address.String()
}

// ndots is that of a pod's resolv.conf: a name with fewer dots is tried with the search list first.
const ndots = 5

// candidates are the names that a pod's resolver asks for one after the other, as resolv.conf(5) says, without their last dots.
func candidates(name string, searches []string) []string {
	if absolute, ok := strings.CutSuffix(name, "."); ok {
		return []string{absolute}
	}
	var all []string
	for _, s := range searches {
		all = append(all, name+"."+s)
	}
	if strings.Count(name, ".") >= ndots {
		return append([]string{name}, all...)
	}
	return append(all, name)
}

// target is what a name of the cluster's zone stands for: a Service, one port of it (SRV), one endpoint of it, or the address of a pod.
type target struct {
	namespace, service string
	port, protocol     string
	host               string
	pod                netip.Addr
}

// parseName reads a name of the zone domain; false: it is not one of a Service or a pod.
func parseName(name, domain string) (x target, ok bool) {
	rest, ok := strings.CutSuffix(name, "."+domain)
	labels := strings.Split(rest, ".")
	n := len(labels)
	if !ok || n < 3 {
		return x, false
	}
	x.namespace = labels[n-2]
	switch kind, before := labels[n-1], labels[:n-2]; {
	case kind == "pod" && len(before) == 1:
		for _, dot := range []string{".", ":"} {
			if a, err := netip.ParseAddr(strings.ReplaceAll(before[0], "-", dot)); err == nil {
				x.pod = a
			}
		}
		return x, x.pod.IsValid()
	case kind != "svc":
		return x, false
	case len(before) == 1:
		x.service = before[0]
	case len(before) == 2:
		x.host, x.service = before[0], before[1]
	case len(before) == 3 && strings.HasPrefix(before[0], "_") && strings.HasPrefix(before[1], "_"):
		x.port, x.protocol, x.service = before[0][1:], before[1][1:], before[2]
	default:
		return x, false
	}
	return x, true
}
