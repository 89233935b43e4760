package proxy

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"gantry/agents/internal/nft"
)

// TableName is the name of the proxy's tables, one of family ip and one of family ip6.
const TableName = "gantry"

// affinitySet is the map from client and affinity ID to the number of a slot.
const affinitySet = "affinity"

// affinitySize is its greatest number of entries. A map that rules add to must have a size: the kernel takes a missing one as 0.
const affinitySize = 1 << 18

// layout is what a family's table has whatever the services: sets, chains and their rules, all but the endpoint chains.
type layout struct {
	family *nft.Family
	table  *nftables.Table
	// sets are by ID; nil for those of loopback addresses, which IPv6 does not have.
	sets     [setCount]*nftables.Set
	affinity *nftables.Set
	chains   []*chain
}

// chain is a chain with its rules.
type chain struct {
	*nftables.Chain
	rules []nft.Rule
}

// layoutVersion goes into the rules' fingerprints. Raise it for a change of a set's type, which no rule shows.
const layoutVersion = 2

// newRule returns a rule with a comment for the reader of `nft list`.
func newRule(exprs []expr.Any, comment string) nft.Rule {
	return nft.Rule{Exprs: exprs, Comment: comment, Version: layoutVersion}
}

// newLayout returns the layout for a family and the cluster's range of its pod addresses.
func newLayout(f *nft.Family, clusterCIDR netip.Prefix) *layout {
	t := &nftables.Table{Family: f.Table, Name: TableName}
	addr := f.AddrType
	keyType := nftables.MustConcatSetType(addr, nftables.TypeInetProto, nftables.TypeInetService)
	slotType := nftables.MustConcatSetType(addr, nftables.TypeInetProto, nftables.TypeInetService, nftables.TypeMark)
	fromType := nftables.MustConcatSetType(addr, nftables.TypeInetProto, nftables.TypeInetService, addr)
	set := func(name string, kt nftables.SetDatatype) *nftables.Set {
		return &nftables.Set{Table: t, Name: name, KeyType: kt, KeyByteOrder: binaryutil.BigEndian}
	}
	mapOf := func(name string, kt, dt nftables.SetDatatype) *nftables.Set {
		s := set(name, kt)
		s.IsMap, s.DataType = true, dt
		return s
	}
	l := &layout{family: f, table: t}
	l.sets[services] = mapOf("services", keyType, nftables.TypeVerdict)
	l.sets[slots] = mapOf("slots", slotType, nftables.MustConcatSetType(addr, nftables.TypeInetService))
	l.sets[unserved] = mapOf("unserved", keyType, nftables.TypeVerdict)
	l.sets[masqKeys] = set("masquerades", keyType)
	l.sets[restricted] = set("restricted", keyType)
	l.sets[sourceRanges] = set("source-ranges", fromType)
	l.sets[sourceRanges].Interval, l.sets[sourceRanges].Concatenation = true, true
	l.sets[clusterAddrs] = set("cluster-ips", addr)
	l.sets[hairpins] = set("hairpins", nftables.MustConcatSetType(addr, addr))
	l.sets[stickyKeys] = mapOf("sticky", keyType, nftables.TypeMark)
	l.affinity = mapOf(affinitySet, nftables.MustConcatSetType(addr, nftables.TypeMark), nftables.TypeMark)
	l.affinity.Dynamic, l.affinity.HasTimeout, l.affinity.Size = true, true, affinitySize
	l.chains = l.baseChains(clusterCIDR)
	if f == nft.IPv4 {
		l.sets[loopbackKeys] = mapOf("loopback", keyType, addr)
		l.sets[loopbackPods] = mapOf("loopback-pods", addr, addr)
		l.chains = append(l.chains, l.loopbackChains()...)
	}
	return l
}

// base returns a base chain: one that a hook of the kernel calls.
func (l *layout) base(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority int, rules ...nft.Rule) *chain {
	return &chain{&nftables.Chain{
		Table: l.table, Name: name, Type: kind, Hooknum: hook,
		Priority: nftables.ChainPriorityRef(nftables.ChainPriority(priority)),
	}, rules}
}

// The priorities of destination and source NAT; the priorities of other chains are relative to them.
const natDest, natSource = -100, 100

func (l *layout) baseChains(clusterCIDR netip.Prefix) []*chain {
	base := l.base
	mark := newRule(concat(l.notFrom(clusterCIDR), l.loadKey(), isIn("masquerades"), setMasqMark()), "from outside of the cluster")
	lookup := newRule(concat(l.loadKey(), vmap("services")), "")
	restrict := newRule(concat(l.loadKey(), isIn("restricted"), l.loadKeyAndClient(), isNotIn("source-ranges"), []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}}),
		"outside of loadBalancerSourceRanges")
	check := newRule(concat(newFlow(), jump("unserved-check")), "services without an endpoint")
	const beforeFilter = -10
	chains := []*chain{
		l.chain(refuseChain,
			newRule(concat(isTCP(), []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}}), ""),
			newRule([]expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: l.family.PortUnreachable}}, "")),
		l.chain(ignoreChain, newRule([]expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}}, "")),
		l.chain("unserved-check",
			newRule(concat(l.loadKey(), vmap("unserved")), ""),
			newRule(concat(l.loadDest(), isIn("cluster-ips"), jumpTo(expr.VerdictGoto, refuseChain)), "no such port")),
		base("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, natDest, append(l.returnLoopback(), restrict, mark, lookup)...),
		base("output", nftables.ChainTypeNAT, nftables.ChainHookOutput, natDest, restrict, mark, lookup),
		base("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, natSource,
			newRule(concat(wasDNAT(), l.loadPair(), isIn("hairpins"), masquerade()), "hairpin: a pod to itself"),
			newRule(concat(notLoopback(expr.MetaKeyOIFNAME), hasMasqMark(), clearMasqMark(), masquerade()), "from outside of the cluster")),
	}
	// These run before the chains of priority filter, because Docker's forward chain drops.
	return append(chains,
		base("filter-input", nftables.ChainTypeFilter, nftables.ChainHookInput, beforeFilter, check),
		base("filter-forward", nftables.ChainTypeFilter, nftables.ChainHookForward, beforeFilter, check),
		base("filter-output", nftables.ChainTypeFilter, nftables.ChainHookOutput, beforeFilter, check))
}

func (l *layout) chain(name string, rules ...nft.Rule) *chain {
	return &chain{&nftables.Chain{Table: l.table, Name: name}, rules}
}

// endpointChain returns the chain of a name that chainName made.
func (l *layout) endpointChain(name string, clusterCIDR netip.Prefix) *chain {
	c, _ := parseChain(name)
	switch c.kind {
	case "sticky":
		// Registers are not kept from rule to rule, so the packet's priority carries the numbers as far as dnat.
		return l.chain(name,
			newRule(concat(l.loadKey(), lookupMap("sticky", reg1), storePriority()), "load the affinity ID"),
			newRule(concat(l.loadClient(), l.updateAffinity(c.n, c.timeout)), "add the client with a random slot, or renew its timeout"),
			newRule(concat(l.loadClient(), lookupMap(affinitySet, reg1), storePriority()), "load the client's slot"),
			newRule(concat(l.loadKey(), loadPriority(l.slotWord()), lookupMap("slots", reg1), l.dnat()), ""),
			newRule(concat(l.loadHashedSlotKey(c.n), lookupMap("slots", reg1), l.dnat()), "no such slot: choose by the client's address"))
	case "local":
		all := chainName(c.n, c.n, c.timeout, false)
		outside := jumpTo(expr.VerdictGoto, ignoreChain)
		if c.local > 0 {
			outside = jumpTo(expr.VerdictGoto, chainName(c.local, c.local, c.timeout, false))
		}
		return l.chain(name,
			newRule(concat(l.from(clusterCIDR), jumpTo(expr.VerdictGoto, all)), "pods"),
			newRule(concat(fromHost(), jumpTo(expr.VerdictGoto, all)), "this host"),
			newRule(outside, "clients outside of the cluster"))
	}
	return l.chain(name, newRule(concat(l.loadSlotKey(c.n), lookupMap("slots", reg1), l.dnat()), ""))
}
