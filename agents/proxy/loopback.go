package proxy

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// A host port with a loopback hostIP answers this host's own clients. The kernel routes nothing from or to a loopback address by
// another link unless route_localnet is set, which opens loopback to the network (CVE-2020-8558). So a packet
// has another address at every routing decision:
//
//	output       127.0.0.1 -> 127.0.0.1:80   the client's, as conntrack knows it
//	             node      -> 127.0.0.1:80   map loopback, before NAT
//	             node      -> pod:8080       NAT, and routed anew
//	postrouting  bridge    -> pod:8080       masqueraded
//
//	prerouting   pod:8080  -> bridge         the pod's answer
//	             pod:8080  -> 127.0.0.1      NAT
//	             pod:8080  -> node           map loopback-pods, then routed to this host
//	input        127.0.0.1:80 -> node        NAT
//	             127.0.0.1:80 -> 127.0.0.1   because of the mark
//
// A client that takes another of this host's addresses for itself (curl --interface) needs NAT alone. One that takes
// another loopback address than 127.0.0.1 gets no connection.

// loopbackRange are the addresses that a loopback hostIP may be.
var loopbackRange = netip.MustParsePrefix("127.0.0.0/8")

// loopbackClient is the source that the kernel chooses for clients of a loopback address.
var loopbackClient = netip.MustParseAddr("127.0.0.1")

func (l *layout) loopbackChains() []*chain {
	const beforeNAT, afterNAT = -50, 10
	client := netip.PrefixFrom(loopbackClient, 32)
	leave := concat(from(client), loadKey(), lookupMap("loopback", reg1), rewriteAddress(ipSource))
	return []*chain{
		l.base("loopback-output", nftables.ChainTypeFilter, nftables.ChainHookOutput, natDest+beforeNAT,
			newRule(concat(newFlow(), leave), "to a pod"),
			newRule(concat(wasDNAT(), direction(original), leave), "to a pod")),
		l.base("loopback-prerouting", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, natDest+afterNAT,
			newRule(concat(to(client), notLoopback(expr.MetaKeyIIFNAME), wasDNAT(), direction(reply),
				[]expr.Any{loadIP(ipSource, reg1)}, lookupMap("loopback-pods", reg1), rewriteAddress(ipDest), setMasqMark()), "a pod's answer")),
		l.base("loopback-input", nftables.ChainTypeFilter, nftables.ChainHookInput, natSource+afterNAT,
			newRule(concat(from(loopbackRange), notLoopback(expr.MetaKeyIIFNAME), hasMasqMark(), clearMasqMark(),
				constant(loopbackClient), rewriteAddress(ipDest)), "a pod's answer")),
	}
}
