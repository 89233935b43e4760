package proxy

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"gantry/agents/internal/nft"
)

// A host port with a loopback hostIP is for clients on this host. The kernel routes no packet from or to a loopback address over
// another link unless route_localnet is set, which makes loopback reachable from the network (CVE-2020-8558). So the packet is
// given another address before every routing decision:
//
//	output       127.0.0.1 -> 127.0.0.1:80   from the client; conntrack's entry has these addresses
//	             node      -> 127.0.0.1:80   map loopback, before NAT
//	             node      -> pod:8080       NAT, and routed again
//	postrouting  bridge    -> pod:8080       masqueraded
//
//	prerouting   pod:8080  -> bridge         the pod's reply
//	             pod:8080  -> 127.0.0.1      NAT
//	             pod:8080  -> node           map loopback-pods, then routed to this host
//	input        127.0.0.1:80 -> node        NAT
//	             127.0.0.1:80 -> 127.0.0.1   by masqMark
//
// IPv6 has no counterpart: a host port on ::1 is refused (hostAddrs).
//
// For a client that binds another of this host's addresses (curl --interface), NAT alone is enough. A client that binds another
// loopback address than 127.0.0.1 gets no connection.

// loopbackRange is the range of loopback addresses.
var loopbackRange = netip.MustParsePrefix("127.0.0.0/8")

// loopbackClient is the source address that the kernel chooses for connections to loopback addresses.
var loopbackClient = netip.MustParseAddr("127.0.0.1")

// returnLoopback keeps packets from the network to loopback addresses away from the maps. The kernel drops those of IPv6 itself.
func (l *layout) returnLoopback() []nft.Rule {
	if l.family != nft.IPv4 {
		return nil
	}
	return []nft.Rule{newRule(concat(l.to(loopbackRange), []expr.Any{&expr.Verdict{Kind: expr.VerdictReturn}}), "loopback is reachable from this host only")}
}

func (l *layout) loopbackChains() []*chain {
	const beforeNAT, afterNAT = -50, 10
	client := netip.PrefixFrom(loopbackClient, 32)
	toPod := concat(l.from(client), l.loadKey(), lookupMap("loopback", reg1), rewriteAddress(l.family.Source))
	return []*chain{
		l.base("loopback-output", nftables.ChainTypeFilter, nftables.ChainHookOutput, natDest+beforeNAT,
			newRule(concat(newFlow(), toPod), "to a pod"),
			newRule(concat(wasDNAT(), direction(original), toPod), "to a pod")),
		l.base("loopback-prerouting", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, natDest+afterNAT,
			newRule(concat(l.to(client), notLoopback(expr.MetaKeyIIFNAME), wasDNAT(), direction(reply),
				[]expr.Any{l.family.Load(l.family.Source, reg1)}, lookupMap("loopback-pods", reg1), rewriteAddress(l.family.Dest), setMasqMark()), "a pod's reply")),
		l.base("loopback-input", nftables.ChainTypeFilter, nftables.ChainHookInput, natSource+afterNAT,
			newRule(concat(l.from(loopbackRange), notLoopback(expr.MetaKeyIIFNAME), hasMasqMark(), clearMasqMark(),
				constant(loopbackClient), rewriteAddress(l.family.Dest)), "a pod's reply")),
	}
}
