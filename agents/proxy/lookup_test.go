package proxy

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"gantry/agents/internal/netnstest"
)

func TestLookUp(t *testing.T) {
	s := newTestSyncer(t)
	web := netip.AddrPortFrom(vip, 80)
	if _, err := LookUp(web, "tcp"); !errors.Is(err, ErrNoTable) {
		t.Fatalf("without a table: %v, want ErrNoTable", err)
	}
	s.compiled["default/web"] = &compiledObject{obj: service("web", vip.String()), frontends: []*frontend{
		{key: key{vip, unix.IPPROTO_TCP, 80}, owner: "default/web", cluster: true, chain: chainName(2, 2, 0, false), slots: twoSlots},
		{key: key{nodeIP, unix.IPPROTO_TCP, 80}, owner: "default/web", chain: chainName(2, 2, 0, false), slots: twoSlots, restricted: true,
			sources: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("10.0.0.0/8")}},
		{key: key{vip, unix.IPPROTO_UDP, 53}, owner: "default/web", cluster: true, unserved: refuseChain},
	}}
	s.must(t)
	check := func(what string, to netip.AddrPort, protocol string, want Route) {
		t.Helper()
		got, err := LookUp(to, protocol)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, *got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
			t.Errorf("%s (-want +got):\n%s", what, d)
		}
	}
	check("two endpoints", web, "tcp", Route{Chain: "pick-2", Slots: twoSlots, ClusterIP: true})
	check("no endpoints", netip.AddrPortFrom(vip, 53), "udp", Route{Unserved: refuseChain, ClusterIP: true})
	check("source ranges", netip.AddrPortFrom(nodeIP, 80), "tcp", Route{Chain: "pick-2", Slots: twoSlots, Restricted: true, Sources: [][2]netip.Addr{
		{netip.MustParseAddr("10.0.0.0"), netip.MustParseAddr("10.255.255.255")}, {netip.MustParseAddr("203.0.113.0"), netip.MustParseAddr("203.0.113.255")}}})
	check("another protocol", web, "udp", Route{ClusterIP: true})
	check("IPv6", netip.MustParseAddrPort("[fd00::1]:80"), "tcp", Route{})
	check("another address", netip.MustParseAddrPort("10.96.0.78:80"), "tcp", Route{})

	run(t, "nft", "delete", "element", "ip", TableName, "slots", "{ 10.96.0.77 . tcp . 80 . 1 }")
	check("the second slot is missing", web, "tcp", Route{Chain: "pick-2", Slots: []netip.AddrPort{twoSlots[0], {}}, ClusterIP: true})
	run(t, "nft", "delete", "element", "ip", TableName, "services", "{ 10.96.0.77 . tcp . 80 }")
	check("the key is missing", web, "tcp", Route{Slots: twoSlots[:1], ClusterIP: true})
}

func TestFlows(t *testing.T) {
	w, p := newTestNetwork(t), newTestSyncer(t)
	setService(p, service("dns", "10.96.0.13", udp(port("", 53, 0))), udpSlice(slice("dns", "", 8080, addrA+"@n1")))
	p.must(t)
	for _, network := range []string{"udp", "tcp"} {
		to := "10.96.0.13:53"
		if network == "tcp" {
			to = addrB + ":8080" // it is not translated
		}
		c, err := netnstest.Dial(t, w.c, network, to)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, _, err := netnstest.ReadAnswer(c); err != nil {
			t.Fatal(err)
		}
		client := netip.MustParseAddrPort(c.LocalAddr().String())
		endpoint := addrA + ":8080"
		if network == "tcp" {
			endpoint = to
		}
		got, err := Flows(netip.MustParseAddrPort(to), network)
		if err != nil {
			t.Fatal(err)
		}
		own := slices.IndexFunc(got, func(f Flow) bool { return f.Client == client }) // others are of tests before
		if own < 0 || got[own].Endpoint.String() != endpoint || (got[own].State != "") != (network == "tcp") {
			t.Errorf("%s from %s: %v, want one to %s", network, client, got, endpoint)
		}
		if others, err := Flows(netip.MustParseAddrPort("10.96.0.13:54"), network); err != nil || len(others) > 0 {
			t.Errorf("%s to another port: %v, %v", network, others, err)
		}
	}
}
