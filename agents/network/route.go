package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// routeProtocol marks the agent's routes (rtnetlink(7), rtm_protocol; 71 is not assigned).
const routeProtocol = 71

const rtmDelRoute = unix.RTM_DELROUTE

// ensureRoutes makes want (podCIDR -> next hop) the routes of routeProtocol of both families.
func ensureRoutes(want map[netip.Prefix]netip.Addr) error {
	found, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Protocol: routeProtocol}, netlink.RT_FILTER_PROTOCOL)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return fmt.Errorf("listing routes: %w", err)
	}
	var errs []error
	have := map[netip.Prefix]bool{}
	for _, r := range found {
		dst, gw := prefixOf(r.Dst), addrOf(r.Gw)
		if want[dst] == gw && gw.IsValid() {
			have[dst] = true
			continue
		}
		if _, changes := want[dst]; changes {
			continue // replaced below
		}
		if err := netlink.RouteDel(&r); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, fmt.Errorf("deleting route to %s: %w", dst, err))
		}
	}
	for dst, gw := range want {
		if have[dst] {
			continue
		}
		r := &netlink.Route{Dst: ipNet(dst), Gw: gw.AsSlice(), Protocol: routeProtocol}
		if err := netlink.RouteReplace(r); err != nil {
			// ENETUNREACH: the node is on no network of this host, and the backend cannot reach it.
			errs = append(errs, fmt.Errorf("adding route to %s by %s: %w", dst, gw, err))
		}
	}
	return errors.Join(errs...)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func prefixOf(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(addrOf(n.IP), bits)
}

func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}
