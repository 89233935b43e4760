package dns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/internal/bridge"
	"gantry/agents/internal/daemon"
	"gantry/agents/internal/netnstest"
	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/kinds"
)

// node is a store with a registry and a name server that runs until the end of the test.
type node struct {
	t      *testing.T
	store  *store.Fake
	r      *registry.Registry
	health *daemon.Health
	pod    int // process whose namespace is a pod's
	server netip.Addr
}

func startNode(t *testing.T) *node {
	t.Helper()
	return startNodeAt(t, server)
}

// startNodeAt is startNode with another address of the name server.
func startNodeAt(t *testing.T, address netip.Addr) *node {
	t.Helper()
	registrytest.DetectMutations(t)
	log := slog.New(slog.DiscardHandler)
	n := &node{t: t, health: &daemon.Health{}, store: store.NewFake(), server: address}
	n.r = registry.New(registry.Config{Store: n.store, Kinds: kinds.New(), ServiceCIDRs: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/16")}, Log: log})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- n.r.Run(ctx) }()
	go func() {
		done <- Run(ctx, Config{Registry: n.r, Address: address, Domain: "cluster.local", MetricsAddress: ":9153", Health: n.health, Log: log})
	}()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if err := Clean(); err != nil {
			t.Error(err)
		}
		if _, err := netlink.LinkByName(linkName); err == nil {
			t.Error("the link is left")
		}
	})
	for _, name := range []string{"kube-system", "shop"} {
		create(n, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	cidr := netip.MustParsePrefix("10.244.1.0/24")
	if err := bridge.Ensure([]netip.Prefix{cidr}, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bridge.Remove() })
	n.pod = netnstest.Pod(t)
	netnstest.Attach(t, n.pod, netip.MustParseAddr("10.244.1.2"), bridge.Gateway(cidr))
	return n
}

func create[T schema.Object](n *node, obj T) {
	n.t.Helper()
	if _, err := registry.For[T](n.r).Create(n.t.Context(), obj); err != nil {
		n.t.Fatal(err)
	}
}

// ask asks the name server from the pod.
func (n *node) ask(network, name string, kind uint16) string {
	n.t.Helper()
	c, err := netnstest.Dial(n.t, n.pod, network, net.JoinHostPort(n.server.String(), "53"))
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	msg := new(dns.Msg)
	msg.SetQuestion(name, kind)
	answer, _, err := (&dns.Client{Timeout: time.Second}).ExchangeWithConn(msg, &dns.Conn{Conn: c})
	if err != nil {
		return err.Error()
	}
	return text(answer)
}

// eventually waits until a question has an answer.
func (n *node) eventually(network, name string, kind uint16, want string) {
	n.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		got := n.ask(network, name, kind)
		if got == want {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			n.t.Fatalf("%s: got %q, want %q; health: %v", name, got, want, n.health.Fault(n.t.Context()))
		}
	}
}

func TestRun(t *testing.T) {
	n := startNode(t)
	create(n, clusterService("web", withClusterIPs("10.96.0.12"), "http/TCP/80"))
	const web = "NOERROR aa ra\nweb.shop.svc.cluster.local. 5 IN A 10.96.0.12"
	for _, network := range []string{"udp", "tcp"} {
		n.eventually(network, "web.shop.svc.cluster.local.", dns.TypeA, web)
	}
	create(n, clusterService("db", withClusterIPs("None")))
	create(n, endpoints("db", "10.244.1.7 one"))
	n.eventually("udp", "one.db.shop.svc.cluster.local.", dns.TypeA, "NOERROR aa ra\none.db.shop.svc.cluster.local. 5 IN A 10.244.1.7")
	if _, err := registry.For[*discoveryv1.EndpointSlice](n.r).Modify(t.Context(), "shop", "db-1", func(e *discoveryv1.EndpointSlice) error {
		e.Endpoints[0].Conditions.Ready = new(bool)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	n.eventually("udp", "one.db.shop.svc.cluster.local.", dns.TypeA, "NXDOMAIN aa ra"+soa)
	n.eventually("udp", "db.shop.svc.cluster.local.", dns.TypeA, "NOERROR aa ra"+soa)
	if err := registry.For[*corev1.Service](n.r).Delete(t.Context(), "shop", "db", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	n.eventually("udp", "db.shop.svc.cluster.local.", dns.TypeA, "NXDOMAIN aa ra"+soa)

	link, err := netlink.LinkByName(linkName)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkDel(link); err != nil {
		t.Fatal(err)
	}
	n.eventually("udp", "web.shop.svc.cluster.local.", dns.TypeA, web)
	if err := n.health.Fault(t.Context()); err != nil {
		t.Error(err)
	}

	n.store.Fail(errors.New("etcd is gone"))
	if got := n.ask("udp", "web.shop.svc.cluster.local.", dns.TypeA); got != web {
		t.Errorf("without etcd: %q", got)
	}
	n.store.Fail(nil)

	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://127.0.0.1:9153/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`coredns_dns_requests_total{family="1",proto="tcp",server="dns://:53",type="A",view="",zone="."} 1`,
		`coredns_dns_responses_total{plugin="kubernetes",rcode="NXDOMAIN",server="dns://:53",view="",zone="."}`,
		`coredns_dns_request_duration_seconds_bucket{server="dns://:53",view="",zone=".",le="0.00025"}`,
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("%s is missing in:\n%s", want, body)
		}
	}
}

// TestRunOnIPv6 asks from this machine: pods have no addresses of IPv6 here.
func TestRunOnIPv6(t *testing.T) {
	address := netip.MustParseAddr("fd00:10:96::a")
	n := startNodeAt(t, address)
	n.pod = os.Getpid()
	create(n, clusterService("web", withClusterIPs("10.96.0.12"), "http/TCP/80"))
	for _, network := range []string{"udp", "tcp"} {
		n.eventually(network, "web.shop.svc.cluster.local.", dns.TypeA, "NOERROR aa ra\nweb.shop.svc.cluster.local. 5 IN A 10.96.0.12")
	}
	if got, want := n.ask("udp", "ns.dns.cluster.local.", dns.TypeAAAA), "NOERROR aa ra\nns.dns.cluster.local. 5 IN AAAA fd00:10:96::a"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// upstream is another name server, which answers every A question with address and counts the questions by name.
func upstream(t *testing.T, address string, handle func(w dns.ResponseWriter, q *dns.Msg)) netip.AddrPort {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if handle == nil {
		handle = func(w dns.ResponseWriter, q *dns.Msg) {
			m := new(dns.Msg)
			m.SetReply(q)
			rr, _ := dns.NewRR(fmt.Sprintf("%s 300 IN A %s", q.Question[0].Name, address))
			m.Answer = []dns.RR{rr}
			_ = w.WriteMsg(m)
		}
	}
	s := &dns.Server{PacketConn: c, Handler: dns.HandlerFunc(handle)}
	ended := make(chan error, 1)
	go func() { ended <- s.ActivateAndServe() }()
	t.Cleanup(func() {
		_ = c.Close()
		<-ended
	})
	return netip.MustParseAddrPort(c.LocalAddr().String())
}

// TestForwarding checks the servers of the config map, a Service with an external name, and that a server that asks this agent is not asked.
func TestForwarding(t *testing.T) {
	n := startNode(t)
	all, stub := upstream(t, "192.0.2.1", nil), upstream(t, "192.0.2.2", nil)
	create(n, clusterService("out", func(s *corev1.ServiceSpec) { s.Type, s.ExternalName = corev1.ServiceTypeExternalName, "example.com" }))
	settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: settingsName}, Data: map[string]string{
		"stubDomains": fmt.Sprintf(`{"acme.local": [%q]}`, stub), "upstreamNameservers": fmt.Sprintf(`[%q]`, all),
	}}
	create(n, settings)
	n.eventually("udp", "example.com.", dns.TypeA, "NOERROR ra\nexample.com. 300 IN A 192.0.2.1")
	n.eventually("tcp", "www.acme.local.", dns.TypeA, "NOERROR ra\nwww.acme.local. 300 IN A 192.0.2.2")
	n.eventually("udp", "out.shop.svc.cluster.local.", dns.TypeA,
		"NOERROR aa ra\nexample.com. 300 IN A 192.0.2.1\nout.shop.svc.cluster.local. 5 IN CNAME example.com.")

	loop := upstream(t, "", func(w dns.ResponseWriter, q *dns.Msg) {
		answer, _, err := (&dns.Client{Timeout: time.Second}).Exchange(q, net.JoinHostPort(server.String(), "53"))
		if err != nil {
			answer = new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
		}
		answer.Id = q.Id
		_ = w.WriteMsg(answer)
	})
	configure := func(data map[string]string) {
		if _, err := registry.For[*corev1.ConfigMap](n.r).Modify(t.Context(), "kube-system", settingsName, func(m *corev1.ConfigMap) error {
			m.Data = data
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	configure(map[string]string{"upstreamNameservers": fmt.Sprintf(`[%q]`, loop)})
	n.eventually("udp", "example.com.", dns.TypeA, "SERVFAIL ra")
	configure(map[string]string{"upstreamNameservers": fmt.Sprintf(`[%q, %q]`, loop, all)})
	n.eventually("udp", "example.com.", dns.TypeA, "NOERROR ra\nexample.com. 300 IN A 192.0.2.1")
}
