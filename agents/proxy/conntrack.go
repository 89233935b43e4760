package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// staleUDP are the keys of UDP whose flows may lead to an endpoint that is gone, or past endpoints there are now, with
// their frontends (nil: nobody serves). A UDP client that never changes its port would follow its old flow for ever. Pure.
func staleUDP(before, now map[key]*frontend) map[key]*frontend {
	out := map[key]*frontend{}
	for k, was := range before {
		is := now[k]
		gone := func(ep netip.AddrPort) bool { return is == nil || !slices.Contains(is.slots, ep) }
		if k.proto == unix.IPPROTO_UDP && slices.ContainsFunc(was.slots, gone) {
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

// deleteStale deletes the flows to keys that lead elsewhere than to one of their slots.
func deleteStaleFlows(keys map[key]*frontend) error {
	if len(keys) == 0 {
		return nil
	}
	_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, staleFlows(keys))
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("deleting stale flows: %w", err)
	}
	return nil
}

type staleFlows map[key]*frontend

// MatchConntrackFlow tells whether the flow is to be deleted.
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
		return to != from // what never went to an endpoint is not ours
	}
	return !slices.Contains(f.slots, from)
}

func addrPort(ip net.IP, port uint16) netip.AddrPort {
	a, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(a.Unmap(), port)
}
