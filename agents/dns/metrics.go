package dns

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gantry/agents/dns/wire"
	"gantry/agents/internal/daemon"
)

// protocol is how a query came.
type protocol int

const (
	overUDP protocol = iota
	overTCP
	protocols
)

var protocolNames = [protocols]string{"udp", "tcp"}

// types are the types of records that have a count of their own, as CoreDNS has them; all others count as the first.
var types = []uint16{0, wire.TypeA, wire.TypeAAAA, wire.TypeANY, wire.TypeCNAME, wire.TypeHINFO, dns.TypeHTTPS, wire.TypeNS, wire.TypePTR,
	wire.TypeSOA, wire.TypeSRV, dns.TypeSVCB, wire.TypeTXT, dns.TypeMX}

// Upper bounds of the buckets of durations, in seconds, and of sizes, in bytes: CoreDNS'.
var (
	durationBuckets = prometheus.ExponentialBuckets(0.00025, 2, 16)
	sizeBuckets     = []float64{0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16e3, 32e3, 48e3, 64e3}
)

const maxCode = 16

// counts are the counts of one reader. They are summed up when the metrics are read: a count of all readers would be
// the most expensive part of an answer.
type counts struct {
	requests  [protocols][16]atomic.Uint64 // by index in types
	responses [origins][maxCode + 1]atomic.Uint64
	dnssec    atomic.Uint64
	hits      [2]atomic.Uint64 // of the cache: positive, negative
	misses    atomic.Uint64
	durations histogram
	sizes     [protocols][2]histogram // requests, responses
}

// histogram counts values by bucket.
type histogram struct {
	buckets [17]atomic.Uint64
	sum     atomic.Uint64 // of nanoseconds or bytes
}

func (h *histogram) observe(bounds []float64, value float64, units uint64) {
	for i, bound := range bounds {
		if value <= bound {
			h.buckets[i].Add(1)
			h.sum.Add(units)
			return
		}
	}
	h.buckets[len(bounds)].Add(1)
	h.sum.Add(units)
}

// count counts the answer that a resolver made to a query of in bytes, which was read at began; out is the answer's size.
func (c *counts) count(r *resolver, p protocol, in, out int, began time.Time) {
	kind := 0
	for i, t := range types {
		if t == r.query.Type {
			kind = i
		}
	}
	c.requests[p][kind].Add(1)
	c.responses[r.origin][min(r.code, maxCode)].Add(1)
	if r.query.DNSSEC {
		c.dnssec.Add(1)
	}
	switch {
	case r.origin == originForward:
		c.misses.Add(1)
	case r.origin == originCache && r.code == wire.NoError:
		c.hits[0].Add(1)
	case r.origin == originCache:
		c.hits[1].Add(1)
	}
	took := time.Since(began)
	c.durations.observe(durationBuckets, took.Seconds(), uint64(took))
	c.sizes[p][0].observe(sizeBuckets, float64(in), uint64(in))
	c.sizes[p][1].observe(sizeBuckets, float64(out), uint64(out))
}

// metrics collects the counts of all readers.
type metrics struct {
	agent    *agent
	registry *prometheus.Registry
	slow     *counts // of queries that are answered on goroutines of their own
	panics   prometheus.Counter
	rejected prometheus.Counter
	asked    *prometheus.HistogramVec

	mu  sync.Mutex // guards all
	all []*counts
}

// Labels that CoreDNS has: the listener, and zone and view, of which there is one.
var serverLabels = prometheus.Labels{"server": "dns://:53", "view": ""}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, serverLabels)
}

var (
	requestsDesc     = describe("coredns_dns_requests_total", "Counter of DNS requests made per zone, protocol and family.", "zone", "proto", "family", "type")
	responsesDesc    = describe("coredns_dns_responses_total", "Counter of response status codes.", "zone", "rcode", "plugin")
	dnssecDesc       = describe("coredns_dns_do_requests_total", "Counter of DNS requests with DO bit set per zone.", "zone")
	durationDesc     = describe("coredns_dns_request_duration_seconds", "Histogram of the time (in seconds) each request took per zone.", "zone")
	requestSizeDesc  = describe("coredns_dns_request_size_bytes", "Size of the EDNS0 UDP buffer in bytes (64K for TCP) per zone and protocol.", "zone", "proto")
	responseSizeDesc = describe("coredns_dns_response_size_bytes", "Size of the returned response in bytes.", "zone", "proto")
	cacheHitsDesc    = describe("coredns_cache_hits_total", "The count of cache hits.", "type", "zones")
	cacheMissesDesc  = describe("coredns_cache_misses_total", "The count of cache misses.", "zones")
	cacheEntriesDesc = describe("coredns_cache_entries", "The number of elements in the cache.", "type", "zones")
	namesDesc        = prometheus.NewDesc("gantry_dns_names", "Names of the cluster's zone that have records, with reverse names.", nil, nil)
)

func newMetrics(a *agent) *metrics {
	m := &metrics{
		agent: a, registry: prometheus.NewRegistry(),
		panics: prometheus.NewCounter(prometheus.CounterOpts{Name: "coredns_panics_total", Help: "A metrics that counts the number of panics."}),
		rejected: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "coredns_forward_max_concurrent_rejects_total",
			Help: "Counter of the number of queries rejected because the concurrent queries were at maximum.",
		}),
		asked: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "coredns_proxy_request_duration_seconds", Help: "Histogram of the time each request took.", Buckets: durationBuckets,
			ConstLabels: prometheus.Labels{"proxy_name": "forward"},
		}, []string{"to", "rcode"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "coredns_build_info", Help: "A metric with a constant '1' value labeled by version, revision, and goversion from which CoreDNS was built.",
		ConstLabels: prometheus.Labels{"version": "gantry-" + a.cfg.Version, "revision": "", "goversion": runtime.Version()},
	})
	build.Set(1)
	m.slow = m.newCounts()
	m.registry.MustRegister(m, m.panics, m.rejected, m.asked, build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) newCounts() *counts {
	c := &counts{}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, c)
	return c
}

// Asked counts a question to another server.
func (m *metrics) Asked(server netip.AddrPort, code int, err error, took time.Duration) {
	text := dns.RcodeToString[code]
	if err != nil {
		text = "error"
	}
	m.asked.WithLabelValues(server.String(), text).Observe(took.Seconds())
}

// Describe is prometheus.Collector's.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{requestsDesc, responsesDesc, dnssecDesc, durationDesc, requestSizeDesc, responseSizeDesc, cacheHitsDesc, cacheMissesDesc, cacheEntriesDesc, namesDesc} {
		ch <- d
	}
}

// Collect is prometheus.Collector's.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	all := m.all
	m.mu.Unlock()
	const zone = "."
	counter := func(d *prometheus.Desc, get func(*counts) *atomic.Uint64, labels ...string) {
		sum := uint64(0)
		for _, c := range all {
			sum += get(c).Load()
		}
		if sum > 0 {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(sum), labels...)
		}
	}
	hist := func(d *prometheus.Desc, bounds []float64, unit float64, get func(*counts) *histogram, labels ...string) {
		total, sum, buckets := uint64(0), 0.0, map[float64]uint64{}
		for i := range len(bounds) + 1 {
			for _, c := range all {
				total += get(c).buckets[i].Load()
			}
			if i < len(bounds) {
				buckets[bounds[i]] = total
			}
		}
		for _, c := range all {
			sum += float64(get(c).sum.Load()) * unit
		}
		ch <- prometheus.MustNewConstHistogram(d, total, sum, buckets, labels...)
	}
	family := "1"
	if m.agent.cfg.Address.Is6() {
		family = "2"
	}
	for p, proto := range protocolNames {
		for i, t := range types {
			name := "other"
			if t != 0 {
				name = dns.TypeToString[t]
			}
			counter(requestsDesc, func(c *counts) *atomic.Uint64 { return &c.requests[p][i] }, zone, proto, family, name)
		}
		hist(requestSizeDesc, sizeBuckets, 1, func(c *counts) *histogram { return &c.sizes[p][0] }, zone, proto)
		hist(responseSizeDesc, sizeBuckets, 1, func(c *counts) *histogram { return &c.sizes[p][1] }, zone, proto)
	}
	for o, plugin := range originNames {
		for code := range maxCode + 1 {
			counter(responsesDesc, func(c *counts) *atomic.Uint64 { return &c.responses[o][code] }, zone, dns.RcodeToString[code], plugin)
		}
	}
	counter(dnssecDesc, func(c *counts) *atomic.Uint64 { return &c.dnssec }, zone)
	hist(durationDesc, durationBuckets, 1e-9, func(c *counts) *histogram { return &c.durations }, zone)
	counter(cacheHitsDesc, func(c *counts) *atomic.Uint64 { return &c.hits[0] }, "success", zone)
	counter(cacheHitsDesc, func(c *counts) *atomic.Uint64 { return &c.hits[1] }, "denial", zone)
	counter(cacheMissesDesc, func(c *counts) *atomic.Uint64 { return &c.misses }, zone)
	success, denial := m.agent.forward.Counts()
	ch <- prometheus.MustNewConstMetric(cacheEntriesDesc, prometheus.GaugeValue, float64(success), "success", zone)
	ch <- prometheus.MustNewConstMetric(cacheEntriesDesc, prometheus.GaugeValue, float64(denial), "denial", zone)
	ch <- prometheus.MustNewConstMetric(namesDesc, prometheus.GaugeValue, float64(m.agent.zone.Len()))
}

// serveMetrics serves /metrics until ctx is done.
func (a *agent) serveMetrics(ctx context.Context) error {
	if a.cfg.MetricsAddress == "" {
		return nil
	}
	l, err := net.Listen("tcp", a.cfg.MetricsAddress)
	if err != nil {
		return fmt.Errorf("serving metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{}))
	return daemon.ServeHTTP(ctx, &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}, l)
}
