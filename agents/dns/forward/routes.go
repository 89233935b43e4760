package forward

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"gantry/agents/dns/wire"
)

// Settings are what the config map kube-system/kube-dns says.
type Settings struct {
	// Stubs are the servers of some domains, by the domain's name as in a message.
	Stubs map[string][]netip.AddrPort
	// Upstreams are the servers of all other names; none: the host's.
	Upstreams []netip.AddrPort
}

// ParseSettings reads the data of the config map. It has the keys of kube-dns:
//
//	stubDomains:         {"acme.local": ["1.2.3.4", "1.2.3.5:5353"]}
//	upstreamNameservers: ["8.8.8.8", "8.8.4.4"]
//
// What can be read is returned with an error about the rest.
func ParseSettings(data map[string]string) (Settings, error) {
	s := Settings{Stubs: map[string][]netip.AddrPort{}}
	var errs []error
	var stubs map[string][]string
	if text := data["stubDomains"]; text != "" {
		if err := json.Unmarshal([]byte(text), &stubs); err != nil {
			errs = append(errs, fmt.Errorf("stubDomains: %w", err))
		}
	}
	for domain, texts := range stubs {
		name, err := wire.Name(domain)
		if err != nil {
			errs = append(errs, fmt.Errorf("stubDomains: %w", err))
			continue
		}
		servers, err := parseServers(texts)
		if err != nil {
			errs = append(errs, fmt.Errorf("stubDomains: %s: %w", domain, err))
		}
		if len(servers) > 0 {
			s.Stubs[name] = servers
		}
	}
	var upstreams []string
	if text := data["upstreamNameservers"]; text != "" {
		if err := json.Unmarshal([]byte(text), &upstreams); err != nil {
			errs = append(errs, fmt.Errorf("upstreamNameservers: %w", err))
		}
	}
	servers, err := parseServers(upstreams)
	if err != nil {
		errs = append(errs, fmt.Errorf("upstreamNameservers: %w", err))
	}
	s.Upstreams = servers
	return s, errors.Join(errs...)
}

const port = 53

// parseServers reads addresses, each with a port or without.
func parseServers(texts []string) (all []netip.AddrPort, err error) {
	for _, text := range texts {
		server, fault := netip.ParseAddrPort(text)
		if fault != nil {
			var a netip.Addr
			if a, fault = netip.ParseAddr(text); fault == nil {
				server = netip.AddrPortFrom(a, port)
			}
		}
		if fault != nil {
			err = errors.Join(err, fmt.Errorf("%.80q is no address: %w", text, fault))
			continue
		}
		all = append(all, server)
	}
	return all, err
}

// routes say which servers are asked. Read-only but for the servers' state.
type routes struct {
	stubs     map[string][]*server
	upstreams []*server
	all       map[netip.AddrPort]*server
}

// server is a server that is asked.
type server struct {
	addr   netip.AddrPort
	failed atomic.Int64 // unix nanoseconds of the last failure; 0: none since the last success
	loops  atomic.Bool  // its questions come back to this agent
}

// retryAfter is how long a server that failed is asked after the others.
const retryAfter = 10 * time.Second

// makeRoutes makes routes; servers that before has keep their state, own are this agent's addresses.
func makeRoutes(s Settings, host []netip.AddrPort, own func(netip.AddrPort) bool, before *routes) *routes {
	r := &routes{stubs: map[string][]*server{}, all: map[netip.AddrPort]*server{}}
	use := func(addrs []netip.AddrPort) (out []*server) {
		for _, a := range addrs {
			if own(a) {
				continue
			}
			if r.all[a] == nil {
				if before != nil && before.all[a] != nil {
					r.all[a] = before.all[a]
				} else {
					r.all[a] = &server{addr: a}
				}
			}
			out = append(out, r.all[a])
		}
		return out
	}
	for name, addrs := range s.Stubs {
		r.stubs[name] = use(addrs)
	}
	if r.upstreams = use(s.Upstreams); len(s.Upstreams) == 0 {
		r.upstreams = use(host)
	}
	return r
}

// servers returns the servers to ask for a name, in order: those that failed a short time ago last, those that loop not at all.
func (r *routes) servers(q *wire.Query, now time.Time) []*server {
	from := r.upstreams
	for n := range q.Labels() + 1 {
		if s, ok := r.stubs[string(q.From(n))]; ok {
			from = s
			break
		}
	}
	var good, bad []*server
	for _, s := range from {
		switch {
		case s.loops.Load():
		case now.UnixNano()-s.failed.Load() < int64(retryAfter):
			bad = append(bad, s)
		default:
			good = append(good, s)
		}
	}
	return slices.Concat(good, bad)
}
