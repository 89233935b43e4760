package proxy

import (
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"gantry/agents/internal/bridge"
	"gantry/agents/internal/netnstest"
	"gantry/agents/internal/nft"
)

var updateGolden = flag.Bool("update", false, "rewrite testdata")

var (
	clusterCIDR6 = netip.MustParsePrefix("fd00:10:244::/56")
	testNode6    = &nodeInfo{
		name: "n1", family: nft.IPv6, addrs: []netip.Addr{netip.MustParseAddr("2001:db8::10")}, clusterCIDR: clusterCIDR6, dual: true,
		gateways: map[netip.Addr]bool{netip.MustParseAddr("fd00:10:244:1::1"): true},
	}
)

// newDualSyncer is a syncer of both families without tables; they are removed when the test ends.
func newDualSyncer(t *testing.T) *syncer {
	t.Helper()
	s := newTestSyncer(t)
	k := newKernelTable(clusterCIDR6)
	k.onDemand = true
	return newSyncer([]*kernelTable{s.tables[0].kernel, k}, slog.New(slog.DiscardHandler))
}

// setDual compiles a service into s in both families.
func setDual(s *syncer, svc *corev1.Service, eps ...*discoveryv1.EndpointSlice) {
	c := &compiledObject{obj: svc}
	for _, n := range []*nodeInfo{testNode, testNode6} {
		c.frontends = append(c.frontends, compileService(svc, eps, n)...)
	}
	s.compiled[name(svc)] = c
}

// dual gives a service cluster IPs of both families.
func dual(svc *corev1.Service, ips ...string) *corev1.Service {
	svc.Spec.ClusterIPs = ips
	return svc
}

func slice6(s *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	s.AddressType, s.Name = discoveryv1.AddressTypeIPv6, s.Name+"-6"
	return s
}

func sctp(p corev1.ServicePort) corev1.ServicePort { p.Protocol = corev1.ProtocolSCTP; return p }

// TestTableListingOfIPv6 compares the table with testdata/ip6.nft; -update rewrites that.
func TestTableListingOfIPv6(t *testing.T) {
	p := newDualSyncer(t)
	setDual(p, service("web", "10.96.0.12", port("", 80, 0)), slice("web", "", 8080, "10.244.1.2@n1"))
	p.must(t)
	if out := run(t, "nft", "list", "tables", "ip6"); out != "" {
		t.Fatalf("without an IPv6 service there is %q", out)
	}
	setDual(p, dual(service("web", "10.96.0.12", port("", 80, 30080)), "10.96.0.12", "fd00:10:96::c"), slice("web", "", 8080, "10.244.1.2@n1"),
		slice6(slice("web", "", 8080, "fd00:10:244:1::2@n1", "fd00:10:244:2::3@n2", "10.244.1.2@n1", "fe80::1@n1", "fd00:10:244:1::1@n1")))
	setDual(p, service("dns", "fd00:10:96::d", udp(port("", 53, 0))))
	setDual(p, service("sctp", "fd00:10:96::f", sctp(port("", 132, 0))))
	setDual(p, withAffinity(balanced(service("lb", "fd00:10:96::e", port("", 80, 0)), "2001:db8::7", "203.0.113.0/24", "2001:db8:1::/48", "2001:db8:2::5/128")),
		slice6(slice("lb", "", 8080, "fd00:10:244:1::2@n1")))
	local := balanced(service("local", "fd00:10:96::10", port("", 80, 0)), "2001:db8::8")
	local.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	setDual(p, local, slice6(slice("local", "", 8080, "fd00:10:244:1::2@n1", "fd00:10:244:2::3@n2")))
	p.must(t)
	got := sorted(run(t, "nft", "list", "table", "ip6", TableName)) + "\n"
	const golden = "testdata/ip6.nft"
	if *updateGolden {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
	if four := listed(t); !strings.Contains(four, "10.96.0.12 . tcp . 80 : goto pick-1") || strings.Contains(four, "fd00") {
		t.Errorf("the table of IPv4:\n%s", four)
	}
	// A restart changes nothing; a flush is repaired in both; without IPv6 services the table goes.
	q := newDualSyncer(t)
	q.compiled = p.compiled
	if n := q.must(t); n != 0 {
		t.Errorf("a restart changed %d elements", n)
	}
	run(t, "nft", "flush ruleset")
	q.readTables()
	q.must(t)
	if diff := cmp.Diff(string(want), sorted(run(t, "nft", "list", "table", "ip6", TableName))+"\n"); diff != "" {
		t.Errorf("after a flush: %s", diff)
	}
	clear(q.compiled)
	q.readTables()
	q.must(t)
	if out := run(t, "nft", "list", "tables", "ip6"); out != "" {
		t.Errorf("without an IPv6 service there is %q", out)
	}
}

// addIPv6 gives a test network addresses of IPv6 like those of IPv4.
func (w testNetwork) addIPv6(t *testing.T) {
	t.Helper()
	podCIDR := netip.MustParsePrefix("fd00:10:244:1::/64")
	if err := bridge.Ensure([]netip.Prefix{netip.MustParsePrefix("10.244.1.0/24"), podCIDR}, 0); err != nil {
		t.Fatal(err)
	}
	netnstest.AddAddress(t, w.outside, netip.MustParsePrefix("2001:db8::10/64"), netip.MustParsePrefix("2001:db8::20/64"))
	for i, pid := range []int{w.a, w.b, w.c} {
		netnstest.AttachIPv6(t, pid, netip.MustParseAddr(fmt.Sprintf("fd00:10:244:1::%d", i+2)), bridge.Gateway(podCIDR))
	}
}

func TestTrafficOfIPv6(t *testing.T) {
	w, p := newTestNetwork(t), newDualSyncer(t)
	w.addIPv6(t)
	const a, b, c, client = "fd00:10:244:1::2", "fd00:10:244:1::3", "fd00:10:244:1::4", "2001:db8::20"
	setDual(p, dual(service("web", "10.96.0.12", port("", 80, 30080)), "10.96.0.12", "fd00:10:96::c"), slice("web", "", 8080, addrA+"@n1"),
		slice6(slice("web", "", 8080, a+"@n1", b+"@n1", c+"@n1")))
	setDual(p, service("dns", "fd00:10:96::d", udp(port("", 53, 0))), slice6(udpSlice(slice("dns", "", 8080, a+"@n1"))))
	setDual(p, service("self", "fd00:10:96::e", port("", 80, 0)), slice6(slice("self", "", 8080, a+"@n1")))
	setDual(p, withAffinity(service("sticky", "fd00:10:96::f", port("", 80, 0))), slice6(slice("sticky", "", 8080, a+"@n1", b+"@n1", c+"@n1")))
	local := balanced(service("local", "fd00:10:96::10", port("", 80, 0)), "2001:db8:7::77", "2001:db8::/64")
	local.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	setDual(p, local, slice6(slice("local", "", 8080, a+"@n1")))
	setDual(p, balanced(service("closed", "fd00:10:96::11", port("", 80, 0)), "2001:db8:7::78", "2001:db8:9::/64"), slice6(slice("closed", "", 8080, a+"@n1")))
	setDual(p, service("empty", "fd00:10:96::12", port("", 80, 0)))
	pod := hostPortPod("host", addrB, hostPort(8443, corev1.ProtocolTCP, ""))
	pod.Status.PodIPs = []corev1.PodIP{{IP: addrB}, {IP: b}}
	frontends, _ := compilePod(pod, testNode6)
	p.compiled[podName(pod)] = &compiledObject{obj: pod, frontends: frontends}
	p.must(t)
	for name, from := range map[string]int{"host": w.host, "pod": w.a, "outside": w.outside} {
		answers(t, from, "tcp", "[fd00:10:96::c]:80", "a", "b", "c")
		answers(t, from, "udp", "[fd00:10:96::d]:53", "a")
		answers(t, from, "tcp", "[2001:db8::10]:8443", "b")
		answers(t, from, "tcp", "10.96.0.12:80", "a")
		refused(t, from, "[fd00:10:96::c]:81")
		refused(t, from, "[fd00:10:96::12]:80")
		first, _, err := netnstest.Request(t, from, "tcp", "[fd00:10:96::f]:80")
		for range 5 {
			if again, _, _ := netnstest.Request(t, from, "tcp", "[fd00:10:96::f]:80"); again != first || err != nil {
				t.Errorf("%s: with affinity %q answers, then %q, %v", name, first, again, err)
			}
		}
	}
	answers(t, w.a, "tcp", "[fd00:10:96::e]:80", "a") // itself
	if seen := answers(t, w.b, "tcp", "[fd00:10:96::e]:80", "a"); !seen[b] {
		t.Errorf("a saw %v, want %s", seen, b)
	}
	if seen := answers(t, w.outside, "tcp", "[2001:db8::10]:30080", "a", "b", "c"); seen[client] {
		t.Errorf("pods saw %v at the node port: the way back may be another", seen)
	}
	if seen := answers(t, w.outside, "tcp", "[2001:db8:7::77]:80", "a"); !seen[client] {
		t.Errorf("a saw %v at the load balancer's address, want %s", seen, client)
	}
	if _, err := netnstest.Dial(t, w.outside, "tcp", "[2001:db8:7::78]:80"); err == nil {
		t.Error("a client outside of the source ranges is served")
	}
	// A UDP client that keeps its port goes to the new endpoint.
	conn, err := netnstest.Dial(t, w.c, "udp", "[fd00:10:96::d]:53")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, want := range []string{"a", "b"} {
		if name, _, err := netnstest.ReadAnswer(conn); name != want {
			t.Errorf("%q answers by UDP, %v, want %s", name, err, want)
		}
		setDual(p, service("dns", "fd00:10:96::d", udp(port("", 53, 0))), slice6(udpSlice(slice("dns", "", 8080, b+"@n1"))))
		p.must(t)
	}
	to := netip.MustParseAddrPort("[fd00:10:96::d]:53")
	route, err := LookUp(to, "udp")
	if err != nil || route.Chain != "pick-1" || !route.ClusterIP || fmt.Sprint(route.Slots) != "["+netip.AddrPortFrom(netip.MustParseAddr(b), 8080).String()+"]" {
		t.Errorf("LookUp: %+v, %v", route, err)
	}
	route, err = LookUp(netip.MustParseAddrPort("[2001:db8:7::78]:80"), "tcp")
	if err != nil || !route.Restricted || fmt.Sprint(route.Sources) != "[[2001:db8:9:: 2001:db8:9:0:ffff:ffff:ffff:ffff]]" {
		t.Errorf("LookUp of a restricted address: %+v, %v", route, err)
	}
	flows, err := Flows(to, "udp")
	if err != nil || !slices.ContainsFunc(flows, func(f Flow) bool { return f.Endpoint.Addr().String() == b }) {
		t.Errorf("Flows: %v, %v", flows, err)
	}
}
