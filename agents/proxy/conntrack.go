package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gantry/agents/internal/nft"
)

// staleUDP returns the UDP keys, with their frontends, whose conntrack entries may be stale: an endpoint was removed, or there were no
// endpoints before. nil stands for a removed frontend. The packets of a UDP client that keeps its port refresh the old entry, so it
// would never expire. Pure.
func staleUDP(before, now map[key]*frontend) map[key]*frontend {
	out := map[key]*frontend{}
	for k, was := range before {
		is := now[k]
		removed := func(ep netip.AddrPort) bool { return is == nil || !slices.Contains(is.slots, ep) }
		if k.proto == unix.IPPROTO_UDP && slices.ContainsFunc(was.slots, removed) {
			out[k] = is
		}
	}
	for k, is := range now {
		if was := before[k]; k.proto == unix.IPPROTO_UDP && len(is.slots) > 0 && (was == nil || len(was.slots) == 0) {
			out[k] = is
		}
	}
	return out
}

// deleteStaleFlows deletes the conntrack entries of a family's flows to keys that do not lead to one of their slots.
func deleteStaleFlows(family *nft.Family, keys map[key]*frontend) error {
	if len(keys) == 0 {
		return nil
	}
	_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, netlink.InetFamily(family.Socket), staleFlows(keys))
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("deleting stale flows: %w", err)
	}
	return nil
}

type staleFlows map[key]*frontend

// MatchConntrackFlow returns whether the flow is to be deleted.
func (s staleFlows) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	if flow.Forward.Protocol != unix.IPPROTO_UDP {
		return false
	}
	to, from := addrPort(flow.Forward.DstIP, flow.Forward.DstPort), addrPort(flow.Reverse.SrcIP, flow.Reverse.SrcPort)
	f, ok := s[key{to.Addr(), unix.IPPROTO_UDP, to.Port()}]
	if !ok {
		return false
	}
	if f == nil || len(f.slots) == 0 {
		return to != from // a flow that was not translated is not the proxy's
	}
	return !slices.Contains(f.slots, from)
}

func addrPort(ip net.IP, port uint16) netip.AddrPort {
	a, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(a.Unmap(), port)
}
