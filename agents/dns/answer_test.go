package dns

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/dns/forward"
	"gantry/agents/dns/records"
)

var server = netip.MustParseAddr("10.96.0.10")

// clusterService is a Service with ports "name/protocol/number".
func clusterService(name string, change func(*corev1.ServiceSpec), ports ...string) *corev1.Service {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
	for _, text := range ports {
		var p corev1.ServicePort
		f := strings.Split(text, "/")
		p.Name, p.Protocol = f[0], corev1.Protocol(f[1])
		_, _ = fmt.Sscan(f[2], &p.Port)
		svc.Spec.Ports = append(svc.Spec.Ports, p)
	}
	change(&svc.Spec)
	return svc
}

func withClusterIPs(ips ...string) func(*corev1.ServiceSpec) {
	return func(s *corev1.ServiceSpec) { s.ClusterIP, s.ClusterIPs = ips[0], ips }
}

// endpoints is a slice of a Service with endpoints "address[ hostname][ unready]" and a port http.
func endpoints(service string, texts ...string) *discoveryv1.EndpointSlice {
	name, protocol, number := "http", corev1.ProtocolTCP, int32(8080)
	e := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "shop", Name: service + "-1", Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: &name, Protocol: &protocol, Port: &number}},
	}
	for _, text := range texts {
		f := strings.Fields(text)
		if strings.Contains(f[0], ":") {
			e.AddressType = discoveryv1.AddressTypeIPv6
		}
		ready := f[len(f)-1] != "unready"
		ep := discoveryv1.Endpoint{Addresses: f[:1], Conditions: discoveryv1.EndpointConditions{Ready: &ready}}
		if len(f) > 1 && f[1] != "unready" {
			ep.Hostname = &f[1]
		}
		e.Endpoints = append(e.Endpoints, ep)
	}
	return e
}

// shop is a zone with Services of every type.
func shop(t testing.TB) *records.Zone {
	t.Helper()
	zone, err := records.NewZone("cluster.local", server)
	if err != nil {
		t.Fatal(err)
	}
	put := func(svc *corev1.Service, eps ...*discoveryv1.EndpointSlice) {
		s := records.ReadService(svc)
		var all []*records.Slice
		for _, e := range eps {
			all = append(all, records.ReadSlice(e))
		}
		zone.Set(s.Owner(), zone.Compile(s, all))
	}
	put(clusterService("web", withClusterIPs("10.96.0.12", "fd00::12"), "http/TCP/80", "dns/UDP/53"), endpoints("web", "10.244.0.9 named"))
	put(clusterService("db", withClusterIPs("None")), endpoints("db", "10.244.0.4 db-1", "10.244.0.3", "10.244.0.5 late unready"))
	put(clusterService("six", withClusterIPs("None")), endpoints("six", "fd00::5"))
	put(clusterService("only", withClusterIPs("fd00::13")))
	put(clusterService("dual", withClusterIPs("None")), endpoints("dual", "10.244.0.6 one"), endpoints("dual", "fd00::6 one"))
	all := clusterService("all", withClusterIPs("None"))
	all.Spec.PublishNotReadyAddresses = true
	put(all, endpoints("all", "10.244.0.7 a unready"))
	put(clusterService("ext", func(s *corev1.ServiceSpec) {
		s.Type, s.ExternalName = corev1.ServiceTypeExternalName, "web.shop.svc.cluster.local"
	}))
	put(clusterService("circle", func(s *corev1.ServiceSpec) {
		s.Type, s.ExternalName = corev1.ServiceTypeExternalName, "circle.shop.svc.cluster.local"
	}))
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("10.244.1.%d", i+1))
	}
	put(clusterService("many", withClusterIPs("None")), endpoints("many", many...))
	return zone
}

func testResolver(t testing.TB, zone *records.Zone) *resolver {
	f := forward.New(func(netip.AddrPort) bool { return false }, noMetrics{}, slog.New(slog.DiscardHandler))
	return newResolver(zone, func() bool { return true }, f)
}

// ask returns the answer to a question as text: the response code, flags, and a line for each record.
func ask(t testing.TB, r *resolver, question *dns.Msg, stream bool) string {
	t.Helper()
	query, err := question.Pack()
	if err != nil {
		t.Fatal(err)
	}
	reply, slow := r.answer(query, stream)
	if slow {
		reply = r.answerSlow(context.Background(), 0)
	}
	var msg dns.Msg
	if err := msg.Unpack(reply); err != nil {
		t.Fatalf("%v: %x", err, reply)
	}
	if msg.Id != question.Id || msg.Question[0] != question.Question[0] {
		t.Errorf("the answer is to %v", msg.Question)
	}
	return text(&msg)
}

func text(msg *dns.Msg) string {
	lines := []string{dns.RcodeToString[msg.Rcode]}
	for flag, set := range map[string]bool{"aa": msg.Authoritative, "tc": msg.Truncated, "ra": msg.RecursionAvailable} {
		if set {
			lines[0] += " " + flag
		}
	}
	f := strings.Fields(lines[0])
	slices.Sort(f[1:])
	lines[0] = strings.Join(f, " ")
	for section, rrs := range map[string][]dns.RR{"": msg.Answer, "authority ": msg.Ns, "extra ": msg.Extra} {
		for _, rr := range rrs {
			if soa, ok := rr.(*dns.SOA); ok {
				soa.Serial = 0
			}
			if opt, ok := rr.(*dns.OPT); ok {
				lines = append(lines, fmt.Sprintf("extra OPT version %d size %d do %v", opt.Version(), opt.UDPSize(), opt.Do()))
				continue
			}
			lines = append(lines, section+strings.Join(strings.Fields(rr.String()), " "))
		}
	}
	slices.Sort(lines[1:])
	return strings.Join(lines, "\n")
}

type noMetrics struct{}

func (noMetrics) Asked(netip.AddrPort, int, error, time.Duration) {}

const soa = "\nauthority cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 0 7200 1800 86400 5"

func TestAnswer(t *testing.T) {
	r := testResolver(t, shop(t))
	for question, want := range map[string]string{
		"web.shop.svc.cluster.local A":    "NOERROR aa ra\nweb.shop.svc.cluster.local. 5 IN A 10.96.0.12",
		"wEb.shop.svc.Cluster.local A":    "NOERROR aa ra\nwEb.shop.svc.Cluster.local. 5 IN A 10.96.0.12",
		"web.shop.svc.cluster.local AAAA": "NOERROR aa ra\nweb.shop.svc.cluster.local. 5 IN AAAA fd00::12",
		"web.shop.svc.cluster.local TXT":  "NOERROR aa ra" + soa,
		"_http._tcp.web.shop.svc.cluster.local SRV": "NOERROR aa ra\n_http._tcp.web.shop.svc.cluster.local. 5 IN SRV 0 100 80 web.shop.svc.cluster.local.\n" +
			"extra web.shop.svc.cluster.local. 5 IN A 10.96.0.12\nextra web.shop.svc.cluster.local. 5 IN AAAA fd00::12",
		"_dns._udp.web.shop.svc.cluster.local SRV": "NOERROR aa ra\n_dns._udp.web.shop.svc.cluster.local. 5 IN SRV 0 100 53 web.shop.svc.cluster.local.\n" +
			"extra web.shop.svc.cluster.local. 5 IN A 10.96.0.12\nextra web.shop.svc.cluster.local. 5 IN AAAA fd00::12",
		"_http._udp.web.shop.svc.cluster.local SRV": "NXDOMAIN aa ra" + soa,
		"_tcp.web.shop.svc.cluster.local SRV":       "NOERROR aa ra" + soa,
		"named.web.shop.svc.cluster.local A":        "NOERROR aa ra\nnamed.web.shop.svc.cluster.local. 5 IN A 10.244.0.9",
		"shop.svc.cluster.local A":                  "NOERROR aa ra" + soa,
		"svc.cluster.local A":                       "NOERROR aa ra" + soa,
		"other.svc.cluster.local A":                 "NXDOMAIN aa ra" + soa,
		"nothere.shop.svc.cluster.local A":          "NXDOMAIN aa ra" + soa,
		"db.shop.svc.cluster.local A":               "NOERROR aa ra\ndb.shop.svc.cluster.local. 5 IN A 10.244.0.3\ndb.shop.svc.cluster.local. 5 IN A 10.244.0.4",
		"db.shop.svc.cluster.local AAAA":            "NOERROR aa ra" + soa,
		"db-1.db.shop.svc.cluster.local A":          "NOERROR aa ra\ndb-1.db.shop.svc.cluster.local. 5 IN A 10.244.0.4",
		"10-244-0-3.db.shop.svc.cluster.local A":    "NOERROR aa ra\n10-244-0-3.db.shop.svc.cluster.local. 5 IN A 10.244.0.3",
		"late.db.shop.svc.cluster.local A":          "NXDOMAIN aa ra" + soa,
		"a.all.shop.svc.cluster.local A":            "NOERROR aa ra\na.all.shop.svc.cluster.local. 5 IN A 10.244.0.7",
		"_http._tcp.db.shop.svc.cluster.local SRV": "NOERROR aa ra\n_http._tcp.db.shop.svc.cluster.local. 5 IN SRV 0 50 8080 10-244-0-3.db.shop.svc.cluster.local.\n" +
			"_http._tcp.db.shop.svc.cluster.local. 5 IN SRV 0 50 8080 db-1.db.shop.svc.cluster.local.\n" +
			"extra 10-244-0-3.db.shop.svc.cluster.local. 5 IN A 10.244.0.3\nextra db-1.db.shop.svc.cluster.local. 5 IN A 10.244.0.4",
		"six.shop.svc.cluster.local A":         "NOERROR aa ra" + soa,
		"six.shop.svc.cluster.local AAAA":      "NOERROR aa ra\nsix.shop.svc.cluster.local. 5 IN AAAA fd00::5",
		"only.shop.svc.cluster.local A":        "NOERROR aa ra" + soa,
		"only.shop.svc.cluster.local AAAA":     "NOERROR aa ra\nonly.shop.svc.cluster.local. 5 IN AAAA fd00::13",
		"fd00--5.six.shop.svc.cluster.local A": "NOERROR aa ra" + soa,
		"fd00--5.shop.pod.cluster.local A":     "NOERROR aa ra" + soa,
		"one.dual.shop.svc.cluster.local A":    "NOERROR aa ra\none.dual.shop.svc.cluster.local. 5 IN A 10.244.0.6",
		"one.dual.shop.svc.cluster.local AAAA": "NOERROR aa ra\none.dual.shop.svc.cluster.local. 5 IN AAAA fd00::6",
		"_http._tcp.dual.shop.svc.cluster.local SRV": "NOERROR aa ra\n_http._tcp.dual.shop.svc.cluster.local. 5 IN SRV 0 50 8080 one.dual.shop.svc.cluster.local.\n" +
			"extra one.dual.shop.svc.cluster.local. 5 IN A 10.244.0.6\nextra one.dual.shop.svc.cluster.local. 5 IN AAAA fd00::6",
		"3.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa PTR": "NOERROR aa ra\n3.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa. 5 IN PTR only.shop.svc.cluster.local.",
		"fd00--5.six.shop.svc.cluster.local AAAA":                                      "NOERROR aa ra\nfd00--5.six.shop.svc.cluster.local. 5 IN AAAA fd00::5",
		"12.0.96.10.in-addr.arpa PTR":                                                  "NOERROR aa ra\n12.0.96.10.in-addr.arpa. 5 IN PTR web.shop.svc.cluster.local.",
		"4.0.244.10.in-addr.arpa PTR":                                                  "NOERROR aa ra\n4.0.244.10.in-addr.arpa. 5 IN PTR db-1.db.shop.svc.cluster.local.",
		"5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa PTR": "NOERROR aa ra\n5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa. 5 IN PTR fd00--5.six.shop.svc.cluster.local.",
		"ext.shop.svc.cluster.local A":                                                 "NOERROR aa ra\next.shop.svc.cluster.local. 5 IN CNAME web.shop.svc.cluster.local.\nweb.shop.svc.cluster.local. 5 IN A 10.96.0.12",
		"ext.shop.svc.cluster.local CNAME":                                             "NOERROR aa ra\next.shop.svc.cluster.local. 5 IN CNAME web.shop.svc.cluster.local.",
		"10-244-0-3.shop.pod.cluster.local A":                                          "NOERROR aa ra\n10-244-0-3.shop.pod.cluster.local. 5 IN A 10.244.0.3",
		"10-244-0-3.shop.pod.cluster.local AAAA":                                       "NOERROR aa ra" + soa,
		"fd00--5.shop.pod.cluster.local AAAA":                                          "NOERROR aa ra\nfd00--5.shop.pod.cluster.local. 5 IN AAAA fd00::5",
		"10-244-0.shop.pod.cluster.local A":                                            "NXDOMAIN aa ra" + soa,
		"shop.pod.cluster.local A":                                                     "NOERROR aa ra" + soa,
		"dns-version.cluster.local TXT":                                                "NOERROR aa ra\ndns-version.cluster.local. 5 IN TXT \"1.1.0\"",
		"cluster.local SOA":                                                            "NOERROR aa ra\ncluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 0 7200 1800 86400 5",
		"cluster.local NS":                                                             "NOERROR aa ra\ncluster.local. 5 IN NS ns.dns.cluster.local.\nextra ns.dns.cluster.local. 5 IN A 10.96.0.10",
		"cluster.local A":                                                              "NOERROR aa ra" + soa,
		"cluster.local AXFR":                                                           "REFUSED ra",
		"example.com A":                                                                "SERVFAIL ra", // no server is known
	} {
		name, kind, _ := strings.Cut(question, " ")
		msg := new(dns.Msg)
		msg.SetQuestion(name+".", dns.StringToType[kind])
		if d := cmp.Diff(want, ask(t, r, msg, false)); d != "" {
			t.Errorf("%s (-want +got):\n%s", question, d)
		}
	}
}

func TestAnswerUntilSynced(t *testing.T) {
	r := testResolver(t, shop(t))
	r.ready = func() bool { return false }
	for name, kind := range map[string]uint16{"web.shop.svc.cluster.local.": dns.TypeA, "12.0.96.10.in-addr.arpa.": dns.TypePTR} {
		msg := new(dns.Msg)
		msg.SetQuestion(name, kind)
		if got := ask(t, r, msg, false); got != "SERVFAIL ra" {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestCircleOfNames(t *testing.T) {
	msg := new(dns.Msg)
	msg.SetQuestion("circle.shop.svc.cluster.local.", dns.TypeA)
	if got := ask(t, testResolver(t, shop(t)), msg, false); !strings.HasPrefix(got, "SERVFAIL") {
		t.Errorf("got %q", got)
	}
}

// TestSizes checks truncation: 100 addresses are longer than every UDP answer.
func TestSizes(t *testing.T) {
	r := testResolver(t, shop(t))
	for _, tc := range []struct {
		size      uint16 // of EDNS; 0: none
		stream    bool
		addresses int
		most      int // bytes
	}{{0, false, 29, 512}, {100, false, 28, 512}, {800, false, 46, 800}, {4096, false, 73, 1232}, {0, true, 100, 65535}, {512, true, 100, 65535}} {
		question := new(dns.Msg)
		question.SetQuestion("many.shop.svc.cluster.local.", dns.TypeA)
		if tc.size > 0 {
			question.SetEdns0(tc.size, true)
		}
		query, _ := question.Pack()
		first := map[string]bool{}
		for range 100 {
			reply, _ := r.answer(query, tc.stream)
			var msg dns.Msg
			if err := msg.Unpack(reply); err != nil || len(reply) > tc.most || msg.Truncated != (tc.addresses < 100) || len(msg.Answer) != tc.addresses {
				t.Fatalf("%+v: %v, %d bytes, %d addresses, truncated %v", tc, err, len(reply), len(msg.Answer), msg.Truncated)
			}
			if opt := msg.IsEdns0(); (opt != nil) != (tc.size > 0) || opt != nil && !opt.Do() {
				t.Errorf("%+v: %v", tc, opt)
			}
			first[msg.Answer[0].(*dns.A).A.String()] = true
		}
		if len(first) != 100 {
			t.Errorf("%+v: %d addresses were the first in 100 answers", tc, len(first))
		}
	}
}

func TestOddQueries(t *testing.T) {
	r := testResolver(t, shop(t))
	question := func(change func(*dns.Msg)) string {
		msg := new(dns.Msg)
		msg.SetQuestion("web.shop.svc.cluster.local.", dns.TypeA)
		change(msg)
		query, err := msg.Pack()
		if err != nil {
			t.Fatal(err)
		}
		reply, _ := r.answer(query, false)
		if reply == nil {
			return "no answer"
		}
		var got dns.Msg
		if err := got.Unpack(reply); err != nil {
			t.Fatal(err)
		}
		return text(&got)
	}
	for _, tc := range []struct {
		name   string
		change func(*dns.Msg)
		want   string
	}{
		{"response", func(m *dns.Msg) { m.Response = true }, "no answer"},
		{"opcode", func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }, "NOTIMP ra"},
		{"no question", func(m *dns.Msg) { m.Question = nil }, "FORMERR ra"},
		{"class", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, "REFUSED ra"},
		{"EDNS version", func(m *dns.Msg) { m.SetEdns0(1232, false); m.IsEdns0().SetVersion(1) } /* what miekg/dns calls BADVERS */, "BADSIG ra\nextra OPT version 0 size 1232 do false"},
		{"two OPT", func(m *dns.Msg) { m.SetEdns0(1232, false); m.SetEdns0(1232, false) }, "FORMERR ra\nextra OPT version 0 size 1232 do false"},
	} {
		if d := cmp.Diff(tc.want, question(tc.change)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, d)
		}
	}
	for _, msg := range [][]byte{nil, make([]byte, 11)} {
		if reply, _ := r.answer(msg, false); reply != nil {
			t.Errorf("%x got an answer", msg)
		}
	}
}

// TestCommonAnswersAllocateNothing covers what pods ask all the time: a Service, and the names of the search list that do not exist.
func TestCommonAnswersAllocateNothing(t *testing.T) {
	r := testResolver(t, shop(t))
	for _, name := range []string{"web.shop.svc.cluster.local.", "example.com.shop.svc.cluster.local.", "many.shop.svc.cluster.local."} {
		msg := new(dns.Msg)
		msg.SetQuestion(name, dns.TypeA)
		msg.SetEdns0(1232, false)
		query, _ := msg.Pack()
		if n := testing.AllocsPerRun(100, func() { r.answer(query, false) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
