package proxy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/internal/nft"
)

// ErrNoTable: this machine's kernel has no table of the proxy.
var ErrNoTable = errors.New("the kernel has no table " + TableName)

// Route is what the table does with new connections to one address and port.
type Route struct {
	// Chain chooses one of Slots. "": the map services has no element for the destination.
	Chain string
	// Slots are the endpoints by number. An invalid one has no element in the map slots, but may be chosen.
	Slots []netip.AddrPort
	// Unserved is the chain for a destination without endpoints: "refuse" or "ignore", which drops. "": there is no such element.
	Unserved string
	// ClusterIP: the address is in the set cluster-ips, so connections to any other port of it are refused.
	ClusterIP bool
	// Restricted: the destination is in the set restricted, so packets of clients outside of Sources are dropped.
	Restricted bool
	// Sources are the intervals of addresses that the set source-ranges has for the destination, [first, last].
	Sources [][2]netip.Addr
}

// LookUp reads from the kernel what the table does with a destination; protocol is "tcp", "udp" or "sctp". It changes nothing. It needs
// CAP_NET_ADMIN.
func LookUp(to netip.AddrPort, protocol string) (*Route, error) {
	family := nft.FamilyOf(to.Addr())
	rules, err := nft.Rules(family, TableName)
	if err != nil {
		return nil, err
	}
	if len(rules) == 0 {
		return routeWithoutTable(family)
	}
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("opening nftables: %w", err)
	}
	k := key{to.Addr(), protocolNumber(protocol), to.Port()}
	l, found, r := newLayout(family, netip.Prefix{}), elements{}, &Route{}
	for _, id := range []setID{services, slots, unserved, clusterAddrs, restricted, sourceRanges} {
		set, err := conn.GetSetElements(l.sets[id])
		if err != nil {
			return nil, fmt.Errorf("reading set %s: %w", l.sets[id].Name, err)
		}
		for _, e := range set {
			switch element, data := decodeElement(id, e); {
			case id == clusterAddrs:
				r.ClusterIP = r.ClusterIP || element.key == words(addrBytes(k.addr))
			case element.group() != k.words():
			case id == unserved:
				r.Unserved = data
			case id == restricted:
				r.Restricted = true
			case id == sourceRanges:
				first := element.client()
				r.Sources = append(r.Sources, [2]netip.Addr{readAddr(first), readAddr(element.key[len(element.key)-len(first):])})
			default:
				found[element] = data
			}
		}
	}
	slices.SortFunc(r.Sources, func(a, b [2]netip.Addr) int { return a[0].Compare(b[0]) })
	if f := decodeFrontends(found)[k]; f != nil {
		r.Chain, r.Slots = f.chain, f.slots
	}
	if c, ok := parseChain(r.Chain); ok && c.n > len(r.Slots) {
		r.Slots = append(r.Slots, make([]netip.AddrPort, c.n-len(r.Slots))...)
	}
	return r, nil
}

// routeWithoutTable is what a family without a table does: nothing, where the proxy runs and has the other family's.
func routeWithoutTable(family *nft.Family) (*Route, error) {
	other := nft.IPv4
	if family == nft.IPv4 {
		other = nft.IPv6
	}
	rules, err := nft.Rules(other, TableName)
	if err != nil {
		return nil, err
	}
	if len(rules) == 0 {
		return nil, ErrNoTable
	}
	return &Route{}, nil
}

// Flow is a connection that conntrack knows.
type Flow struct {
	Client netip.AddrPort
	// Endpoint is who answers: the endpoint that was chosen, or the destination itself where nothing was translated.
	Endpoint netip.AddrPort
	// State is that of a TCP connection: "ESTABLISHED"; "" for UDP.
	State string
}

// tcpStates are the names of the kernel's states of TCP connections by number, as conntrack(8) prints them.
var tcpStates = map[uint8]string{
	nl.TCP_CONNTRACK_SYN_SENT: "SYN_SENT", nl.TCP_CONNTRACK_SYN_RECV: "SYN_RECV", nl.TCP_CONNTRACK_ESTABLISHED: "ESTABLISHED",
	nl.TCP_CONNTRACK_FIN_WAIT: "FIN_WAIT", nl.TCP_CONNTRACK_CLOSE_WAIT: "CLOSE_WAIT", nl.TCP_CONNTRACK_LAST_ACK: "LAST_ACK",
	nl.TCP_CONNTRACK_TIME_WAIT: "TIME_WAIT", nl.TCP_CONNTRACK_CLOSE: "CLOSE", nl.TCP_CONNTRACK_SYN_SENT2: "SYN_SENT2",
}

// Flows returns the connections to a destination, in the order of the kernel. It needs CAP_NET_ADMIN.
func Flows(to netip.AddrPort, protocol string) ([]Flow, error) {
	all, err := netlink.ConntrackTableList(netlink.ConntrackTable, netlink.InetFamily(nft.FamilyOf(to.Addr()).Socket))
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("reading conntrack: %w", err)
	}
	var flows []Flow
	for _, f := range all {
		if f.Forward.Protocol != protocolNumber(protocol) || addrPort(f.Forward.DstIP, f.Forward.DstPort) != to {
			continue
		}
		flow := Flow{Client: addrPort(f.Forward.SrcIP, f.Forward.SrcPort), Endpoint: addrPort(f.Reverse.SrcIP, f.Reverse.SrcPort)}
		if tcp, ok := f.ProtoInfo.(*netlink.ProtoInfoTCP); ok {
			flow.State = tcpStates[tcp.State]
		}
		flows = append(flows, flow)
	}
	return flows, nil
}

func protocolNumber(name string) uint8 {
	return protocols[corev1.Protocol(strings.ToUpper(name))]
}
