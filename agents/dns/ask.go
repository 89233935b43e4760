package dns

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Answer is what a name server answers.
type Answer struct {
	Code    string // "NOERROR", "NXDOMAIN", "SERVFAIL", ...
	Records []Record
}

// Record is a resource record of the answer section.
type Record struct {
	Name string // without the last dot
	Type string // "A", "CNAME", "SRV", ...
	TTL  time.Duration
	Data string // as in a zone file, names without their last dot: "10.96.0.1", "0 100 80 web.default.svc.cluster.local"
}

// askTimeout is how long one exchange may take, as a stub resolver's.
const askTimeout = 5 * time.Second

// Ask asks a name server for the records of a name, by UDP and, where the answer does not fit, by TCP. recordType is "A", "SRV", ...
func Ask(ctx context.Context, server netip.AddrPort, name, recordType string) (*Answer, error) {
	number, ok := dns.StringToType[recordType]
	if !ok {
		return nil, fmt.Errorf("asking for %s: there is no type of records %q", name, recordType)
	}
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), number)
	query.SetEdns0(1232, false)
	var reply *dns.Msg
	var err error
	for _, network := range []string{"udp", "tcp"} {
		client := dns.Client{Net: network, Timeout: askTimeout}
		reply, _, err = client.ExchangeContext(ctx, query, server.String())
		if err != nil {
			return nil, fmt.Errorf("asking %s for %s: %w", server, name, err)
		}
		if !reply.Truncated {
			break
		}
	}
	a := &Answer{Code: dns.RcodeToString[reply.Rcode]}
	if a.Code == "" {
		a.Code = fmt.Sprintf("RCODE%d", reply.Rcode)
	}
	for _, rr := range reply.Answer {
		h := rr.Header()
		a.Records = append(a.Records, Record{
			Name: strings.TrimSuffix(h.Name, "."), Type: dns.TypeToString[h.Rrtype], TTL: time.Duration(h.Ttl) * time.Second,
			Data: strings.TrimSuffix(strings.TrimPrefix(rr.String(), h.String()), "."),
		})
	}
	return a, nil
}
