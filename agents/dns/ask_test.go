package dns

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// TestAsk asks a server that sends all addresses of many.example by TCP only.
func TestAsk(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	packets, err := net.ListenPacket("udp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		reply := new(dns.Msg).SetReply(query)
		overTCP := w.RemoteAddr().Network() == "tcp"
		switch query.Question[0].Name {
		case "many.example.":
			reply.Truncated = !overTCP
			for i := range 2 {
				reply.Answer = append(reply.Answer, &dns.A{Hdr: dns.RR_Header{Name: "many.example.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 5}, A: net.IPv4(192, 0, 2, byte(i+1))})
				if !overTCP {
					break
				}
			}
		case "_http._tcp.web.example.":
			reply.Answer = []dns.RR{&dns.SRV{Hdr: dns.RR_Header{Name: "_http._tcp.web.example.", Rrtype: dns.TypeSRV, Class: dns.ClassINET, Ttl: 5}, Weight: 100, Port: 80, Target: "web.example."}}
		default:
			reply.Rcode = dns.RcodeNameError
		}
		if err := w.WriteMsg(reply); err != nil {
			t.Error(err)
		}
	})
	for _, s := range []*dns.Server{{Listener: listener, Handler: handler}, {PacketConn: packets, Handler: handler}} {
		started, done := make(chan struct{}), make(chan error, 1)
		s.NotifyStartedFunc = func() { close(started) }
		go func() { done <- s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			if err := s.Shutdown(); err != nil {
				t.Error(err)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	at := netip.MustParseAddrPort(listener.Addr().String())
	for _, tt := range []struct {
		name, kind string
		want       Answer
	}{
		{"many.example", "A", Answer{"NOERROR", []Record{{"many.example", "A", 5 * time.Second, "192.0.2.1"}, {"many.example", "A", 5 * time.Second, "192.0.2.2"}}}},
		{"_http._tcp.web.example.", "SRV", Answer{"NOERROR", []Record{{"_http._tcp.web.example", "SRV", 5 * time.Second, "0 100 80 web.example"}}}},
		{"none.example", "A", Answer{Code: "NXDOMAIN"}},
	} {
		got, err := Ask(t.Context(), at, tt.name, tt.kind)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(tt.want, *got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
	for _, kind := range []string{"NONE", ""} {
		if _, err := Ask(t.Context(), at, "x", kind); err == nil {
			t.Errorf("asking for records of type %q is no error", kind)
		}
	}
}
