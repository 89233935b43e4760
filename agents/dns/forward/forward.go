// Package forward asks other servers for names outside of the cluster: those of the host's resolv.conf, or those that the config map
// kube-system/kube-dns names. Answers are kept for up to 30 seconds. A server whose questions come back to this agent is not asked.
package forward

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/singleflight"

	"gantry/agents/dns/wire"
	"gantry/agents/internal/resolvconf"
)

const (
	// timeout is that of one question to one server; a pod's resolver asks again after 5 seconds.
	timeout = 2 * time.Second
	// total bounds all questions for one answer.
	total = 5 * time.Second
	// hostCheck is the interval at which resolv.conf is read.
	hostCheck = 5 * time.Second
)

// Forwarder asks other servers. Safe for concurrent use.
type Forwarder struct {
	log     *slog.Logger
	own     func(netip.AddrPort) bool
	host    func() []string // the host's servers
	metrics Metrics
	cache   cache
	flights singleflight.Group
	routes  atomic.Pointer[routes]
	probes  sync.Map      // name of an open probe for loops -> *server
	wake    chan struct{} // has a message when the settings have changed

	mu       sync.Mutex // guards settings
	settings Settings
}

// Metrics are told what happens. Their methods must not block.
type Metrics interface {
	// Asked: a server answered with a code, or did not (err), after a time.
	Asked(server netip.AddrPort, code int, err error, took time.Duration)
}

// New returns a Forwarder. own tells which servers are this agent itself.
func New(own func(netip.AddrPort) bool, m Metrics, log *slog.Logger) *Forwarder {
	f := &Forwarder{
		log: log, own: own, metrics: m, cache: cache{entries: map[string]entry{}}, wake: make(chan struct{}, 1),
		host: func() []string { return resolvconf.Host().Servers },
	}
	f.routes.Store(&routes{})
	return f
}

// Configure replaces the settings.
func (f *Forwarder) Configure(s Settings) {
	f.mu.Lock()
	f.settings = s
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Run keeps the servers as the settings and the host's resolv.conf say, until ctx is done.
func (f *Forwarder) Run(ctx context.Context) error {
	t := time.NewTicker(hostCheck)
	defer t.Stop()
	var last string
	for {
		f.mu.Lock()
		settings := f.settings
		f.mu.Unlock()
		host, err := parseServers(f.host())
		if text := fmt.Sprint(settings, host); text != last {
			last = text
			if err != nil {
				f.log.Warn("name servers left out", "agent", "dns", "err", err)
			}
			f.setRoutes(ctx, makeRoutes(settings, host, f.own, f.routes.Load()))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
		case <-t.C:
		}
	}
}

func (f *Forwarder) setRoutes(ctx context.Context, r *routes) {
	f.routes.Store(r)
	f.cache.clear()
	var texts []string
	for _, s := range r.upstreams {
		texts = append(texts, s.addr.String())
	}
	f.log.Info("name servers set", "agent", "dns", "upstreams", strings.Join(texts, ","), "stubDomains", len(r.stubs))
	if len(texts) == 0 {
		f.log.Warn("names outside of the cluster are not resolved", "agent", "dns", "reason", "no server is known")
	}
	var all sync.WaitGroup
	for _, s := range r.all {
		all.Go(func() { f.probe(ctx, s) })
	}
	all.Wait()
}

// probe asks a server for a name that nobody else asks for. When the question arrives here, the server forwards to this agent.
func (f *Forwarder) probe(ctx context.Context, s *server) {
	name := strings.ToLower(rand.Text()) + ".loop.gantry.invalid."
	f.probes.Store(name, s)
	defer f.probes.Delete(name)
	s.loops.Store(false)
	msg := new(dns.Msg)
	msg.SetQuestion(name, dns.TypeHINFO)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, _, _ = (&dns.Client{Timeout: timeout}).ExchangeContext(ctx, msg, s.addr.String()) // only the question matters
}

// isProbe tells whether a query is the probe of a server, which then is not asked any more.
func (f *Forwarder) isProbe(q *wire.Query) bool {
	if q.Type != wire.TypeHINFO {
		return false
	}
	s, ok := f.probes.Load(wire.Text(string(q.Name())))
	if ok && !s.(*server).loops.Swap(true) {
		f.log.Error("name server not used", "agent", "dns", "server", s.(*server).addr, "reason", "it forwards questions back to this agent")
	}
	return ok
}

// Cached answers a query from the answers that are kept; false: there is none. It does not allocate.
func (f *Forwarder) Cached(q *wire.Query, reply *wire.Reply) (code int, ok bool) {
	m, age := f.cache.get(q.Key(), time.Now())
	if m == nil {
		return 0, false
	}
	reply.Message(m, uint32(age/time.Second))
	return m.Code, true
}

// Counts returns how many positive and negative answers are kept.
func (f *Forwarder) Counts() (success, denial int) { return f.cache.counts() }

// errNoServer: no server is known, or none of them answers to others than this agent.
var errNoServer = errors.New("no server is known")

// Resolve asks other servers and returns the response code; ServerFailure where none answers. Equal questions at the same time are asked once.
func (f *Forwarder) Resolve(ctx context.Context, q *wire.Query, reply *wire.Reply) (code int) {
	if f.isProbe(q) {
		return wire.ServerFailure
	}
	key := string(q.Key())
	ctx, cancel := context.WithTimeout(ctx, total)
	defer cancel()
	result, err, _ := f.flights.Do(key, func() (any, error) {
		m, err := f.ask(ctx, q)
		if err == nil {
			f.cache.put(key, m, time.Now())
		}
		return m, err
	})
	if err != nil {
		f.log.Debug("name not resolved", "agent", "dns", "name", wire.Text(string(q.Name())), "err", err)
		return wire.ServerFailure
	}
	m := result.(*wire.Message)
	reply.Message(m, 0)
	return m.Code
}

// ask asks the servers one after the other until one gives an answer that is not a failure.
func (f *Forwarder) ask(ctx context.Context, q *wire.Query) (*wire.Message, error) {
	question, err := upstreamQuery(q)
	if err != nil {
		return nil, err
	}
	var failed *wire.Message
	err = errNoServer
	for _, s := range f.routes.Load().servers(q, time.Now()) {
		began := time.Now()
		m, fault := exchange(ctx, q, question, s.addr)
		if m != nil {
			f.metrics.Asked(s.addr, m.Code, nil, time.Since(began))
		} else {
			f.metrics.Asked(s.addr, 0, fault, time.Since(began))
		}
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case fault != nil:
			s.failed.Store(time.Now().UnixNano())
			err = errors.Join(err, fault)
		case m.Code == wire.ServerFailure || m.Code == wire.Refused || m.Code == wire.NotImplemented:
			failed = m
		default:
			s.failed.Store(0)
			return m, nil
		}
	}
	if failed != nil {
		return failed, nil
	}
	return nil, err
}

// upstreamQuery is the query as other servers get it: with EDNS, without the client's options.
func upstreamQuery(q *wire.Query) (*dns.Msg, error) {
	msg := new(dns.Msg)
	if err := msg.Unpack(q.Message()); err != nil {
		return nil, err
	}
	msg.Extra = nil
	msg.SetEdns0(wire.MaxUDP, q.DNSSEC)
	return msg, nil
}

// exchange asks one server, again by TCP where its answer is truncated.
func exchange(ctx context.Context, q *wire.Query, question *dns.Msg, server netip.AddrPort) (*wire.Message, error) {
	msg := question.Copy()
	msg.Id = dns.Id()
	answer, _, err := (&dns.Client{Timeout: timeout, UDPSize: wire.MaxUDP}).ExchangeContext(ctx, msg, server.String())
	if err == nil && answer.Truncated {
		answer, _, err = (&dns.Client{Timeout: timeout, Net: "tcp"}).ExchangeContext(ctx, msg, server.String())
	}
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", server, err)
	}
	if len(answer.Question) != 1 || !strings.EqualFold(answer.Question[0].Name, msg.Question[0].Name) || answer.Question[0].Qtype != msg.Question[0].Qtype {
		return nil, fmt.Errorf("asking %s: the answer is to another question", server)
	}
	answer.Question = msg.Question
	answer.Extra = slices.DeleteFunc(answer.Extra, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT })
	answer.Compress = true
	answer.Rcode &= 15
	packed, err := answer.Pack()
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", server, err)
	}
	m, ok := wire.ReadMessage(packed, len(q.Question()))
	if !ok {
		return nil, fmt.Errorf("reading the answer of %s: it is malformed", server)
	}
	return m, nil
}
