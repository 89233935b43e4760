package trace

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct{ in, name, address, protocol, err string }{
		{in: "web", name: "web"},
		{in: "Web.Shop", name: "web.shop"},
		{in: "shop/web", name: "web.shop"},
		{in: "_http._tcp.web", name: "_http._tcp.web"},
		{in: "web.shop.svc.cluster.local.", name: "web.shop.svc.cluster.local."},
		{in: "10.96.0.7:80", address: "10.96.0.7:80"},
		{in: "10.96.0.7:53/UDP", address: "10.96.0.7:53", protocol: "udp"},
		{in: "[::ffff:10.96.0.7]:80", address: "10.96.0.7:80"},
		{in: "10.96.0.7:53/sctp", err: `"10.96.0.7:53/sctp": the protocol is none of tcp, udp`},
		{in: "10.96.0.7:0", err: `"10.96.0.7:0": no connection is made to port 0`},
		{in: "10.96.0.7", err: `"10.96.0.7": an address needs a port, as 10.96.0.7:80`},
		{in: "", err: `"" is neither a name nor ADDRESS:PORT`},
		{in: "web:80", err: `"web:80" is neither a name nor ADDRESS:PORT`},
		{in: "a..b", err: `"a..b" is neither a name nor ADDRESS:PORT`},
		{in: "shop/web/x", err: `"shop/web/x" is neither a name nor ADDRESS:PORT`},
		{in: strings.Repeat("a", 64), err: `"` + strings.Repeat("a", 64) + `" is neither a name nor ADDRESS:PORT`},
	} {
		q, err := Parse(tt.in)
		text, address := "", ""
		if err != nil {
			text = err.Error()
		}
		if q.Address.IsValid() {
			address = q.Address.String()
		}
		if q.Name != tt.name || address != tt.address || q.Protocol != tt.protocol || text != tt.err {
			t.Errorf("%q: %+v, %v, want %+v", tt.in, q, err, tt)
		}
	}
}

func TestCandidates(t *testing.T) {
	searches := []string{"shop.svc.cluster.local", "svc.cluster.local"}
	for _, tt := range []struct {
		name string
		want []string
	}{
		{"web", []string{"web.shop.svc.cluster.local", "web.svc.cluster.local", "web"}},
		{"web.shop.svc.cluster.local", []string{"web.shop.svc.cluster.local.shop.svc.cluster.local", "web.shop.svc.cluster.local.svc.cluster.local", "web.shop.svc.cluster.local"}},
		{"a.b.c.d.e.f", []string{"a.b.c.d.e.f", "a.b.c.d.e.f.shop.svc.cluster.local", "a.b.c.d.e.f.svc.cluster.local"}},
		{"web.", []string{"web"}},
	} {
		if got := candidates(tt.name, searches); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestParseSockets(t *testing.T) {
	const tcp = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0500F40A:0050 0600F40A:9C40 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1
   2: 00000000000000000000000000000000:2382 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
   3: zz:1 00000000:0000 0A
`
	const udp = `   0: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0
   1: 0500F40A:8001 0100600A:0035 01 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0
`
	for _, tt := range []struct {
		text, protocol string
		want           []netip.AddrPort
	}{
		{tcp, "tcp", []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:8080"), netip.MustParseAddrPort("[::]:9090")}},
		{udp, "udp", []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:53")}},
		{"", "tcp", nil},
	} {
		if got := ParseSockets(tt.text, tt.protocol); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.protocol, got, tt.want)
		}
	}
}
