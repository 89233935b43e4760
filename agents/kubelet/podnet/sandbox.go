package podnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"

	"gantry/agents/internal/bridge"
)

// eth0 is the link's name inside the sandbox.
const eth0 = "eth0"

// sandbox is a network namespace and a netlink socket in it.
type sandbox struct {
	ns netns.NsHandle
	h  *netlink.Handle
}

func open(pid int) (*sandbox, error) {
	ns, err := netns.GetFromPid(pid)
	if err != nil {
		return nil, fmt.Errorf("opening network namespace of process %d: %w", pid, err)
	}
	own, err := netns.Get()
	if err != nil {
		_ = ns.Close()
		return nil, fmt.Errorf("opening own network namespace: %w", err)
	}
	defer own.Close()
	if own.Equal(ns) {
		_ = ns.Close()
		return nil, fmt.Errorf("process %d is in the host's network namespace", pid)
	}
	h, err := netlink.NewHandleAt(ns, syscall.NETLINK_ROUTE)
	if err != nil {
		_ = ns.Close()
		return nil, fmt.Errorf("entering network namespace of process %d: %w", pid, err)
	}
	return &sandbox{ns, h}, nil
}

func (s *sandbox) close() {
	s.h.Close()
	_ = s.ns.Close()
}

// addresses returns what eth0 has of either family, without link-local addresses.
func (s *sandbox) addresses() (addrs []netip.Addr, err error) {
	link, err := s.h.LinkByName(eth0)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil, ErrNoAddress
	}
	if err != nil {
		return nil, fmt.Errorf("looking for %s in the sandbox: %w", eth0, err)
	}
	found, err := s.h.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("listing addresses in the sandbox: %w", err)
	}
	for _, x := range found {
		a, _ := netip.AddrFromSlice(x.IP)
		if a = a.Unmap(); !a.IsLinkLocalUnicast() {
			addrs = append(addrs, a)
		}
	}
	if len(addrs) == 0 {
		return nil, ErrNoAddress
	}
	return addrs, nil
}

// connect makes the pair and everything on both of its ends, with an address of each podCIDR. The alias comes last: it marks the link as
// complete.
func connect(podUID string, addrs []netip.Addr, sb *sandbox, cidrs []netip.Prefix) error {
	if err := Teardown(podUID); err != nil {
		return err
	}
	if stale, err := sb.h.LinkByName(eth0); err == nil {
		if err := sb.h.LinkDel(stale); err != nil {
			return fmt.Errorf("removing stale %s in the sandbox: %w", eth0, err)
		}
	}
	host, err := addPair(LinkName(podUID), addrs[0], sb.ns)
	if err != nil {
		return err
	}
	if err := sb.configure(addrs, cidrs); err != nil {
		return err
	}
	sb.settle(host)
	if err := netlink.LinkSetAlias(host, alias(podUID, addrs)); err != nil {
		return fmt.Errorf("naming link %s: %w", host.Attrs().Name, err)
	}
	return nil
}

// How long the kernel may take to detect that a pair is connected. It does so after both ends are up, and drops packets until
// then: a pod's first packet would be sent again a second later.
const (
	settlePoll  = 500 * time.Microsecond
	settleTries = 1000
)

// settle waits until both ends of the pair and the bridge carry packets.
func (s *sandbox) settle(host netlink.Link) {
	up := func(l netlink.Link, err error) bool { return err == nil && l.Attrs().OperState == netlink.OperUp }
	for range settleTries {
		if up(netlink.LinkByIndex(host.Attrs().Index)) && up(s.h.LinkByName(eth0)) && up(netlink.LinkByName(bridge.Name)) {
			return
		}
		time.Sleep(settlePoll)
	}
}

func addPair(name string, addr netip.Addr, ns netns.NsHandle) (netlink.Link, error) {
	br, err := netlink.LinkByName(bridge.Name)
	if err != nil {
		return nil, fmt.Errorf("looking for bridge %s: %w", bridge.Name, err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.MasterIndex = name, br.Attrs().MTU, br.Attrs().Index
	pair := &netlink.Veth{
		LinkAttrs: attrs, PeerName: eth0, PeerHardwareAddr: bridge.HardwareAddr(addr),
		PeerNamespace: netlink.NsFd(ns), PeerMTU: uint32(br.Attrs().MTU),
	}
	if err := netlink.LinkAdd(pair); err != nil {
		return nil, fmt.Errorf("making link %s: %w", name, err)
	}
	// With br_netfilter a pod's packet to its own service goes back to the port it came from.
	if err := netlink.LinkSetHairpin(pair, true); err != nil {
		return nil, fmt.Errorf("setting hairpin mode of link %s: %w", name, err)
	}
	_ = netlink.LinkSetIP6AddrGenMode(pair, nl.IN6_ADDR_GEN_MODE_NONE) // a bridge's port has no addresses; fails where the host has no IPv6
	if err := netlink.LinkSetUp(pair); err != nil {
		return nil, fmt.Errorf("setting link %s up: %w", name, err)
	}
	return pair, nil
}

func (s *sandbox) configure(addrs []netip.Addr, cidrs []netip.Prefix) error {
	hasIPv6 := slices.ContainsFunc(addrs, netip.Addr.Is6)
	if err := s.sysctls(hasIPv6); err != nil {
		return err
	}
	if lo, err := s.h.LinkByName("lo"); err == nil && lo.Attrs().Flags&net.FlagUp == 0 {
		if err := s.h.LinkSetUp(lo); err != nil {
			return fmt.Errorf("setting lo up in the sandbox: %w", err)
		}
	}
	link, err := s.h.LinkByName(eth0)
	if err != nil {
		return fmt.Errorf("looking for %s in the sandbox: %w", eth0, err)
	}
	for _, addr := range addrs {
		if err := s.h.AddrAdd(link, bridge.Address(netip.PrefixFrom(addr, addr.BitLen()))); err != nil {
			return fmt.Errorf("adding address %s: %w", addr, err)
		}
	}
	if hasIPv6 { // neighbours are asked for from it
		local := bridge.LinkLocal(bridge.HardwareAddr(addrs[0]))
		if err := s.h.AddrAdd(link, bridge.Address(netip.PrefixFrom(local, 64))); err != nil {
			return fmt.Errorf("adding address %s: %w", local, err)
		}
	}
	if err := s.h.LinkSetUp(link); err != nil {
		return fmt.Errorf("setting %s up in the sandbox: %w", eth0, err)
	}
	for i, addr := range addrs {
		if err := s.addRoutes(link.Attrs().Index, addr, bridge.Gateway(cidrs[i])); err != nil {
			return err
		}
	}
	return nil
}

func (s *sandbox) addRoutes(index int, addr, gateway netip.Addr) error {
	onLink := &netlink.Route{LinkIndex: index, Dst: hostNet(gateway), Scope: netlink.SCOPE_LINK, Src: addr.AsSlice()}
	if err := s.h.RouteAdd(onLink); err != nil {
		return fmt.Errorf("adding route to gateway %s: %w", gateway, err)
	}
	// Dst nil with a gateway is the default route.
	if err := s.h.RouteAdd(&netlink.Route{LinkIndex: index, Gw: gateway.AsSlice(), Src: addr.AsSlice()}); err != nil {
		return fmt.Errorf("adding default route by %s: %w", gateway, err)
	}
	return nil
}

// sysctls are the pod's own settings: IPv6 only where the pod has an address of it, and no redirects accepted, which the host sends when it
// forwards a packet back to the bridge it came from. Docker disables IPv6 in a sandbox without its network.
func (s *sandbox) sysctls(hasIPv6 bool) error {
	settings := []struct{ path, value string }{
		{"/proc/sys/net/ipv4/conf/all/accept_redirects", "0"},
		{"/proc/sys/net/ipv4/conf/" + eth0 + "/accept_redirects", "0"},
	}
	if !hasIPv6 {
		settings = append(settings, struct{ path, value string }{"/proc/sys/net/ipv6/conf/" + eth0 + "/disable_ipv6", "1"})
	}
	return s.within(func() error {
		if hasIPv6 {
			for _, link := range []string{"all", "default", "lo", eth0} {
				if err := bridge.PrepareIPv6(link); err != nil {
					return err
				}
			}
		}
		for _, x := range settings {
			if err := os.WriteFile(x.path, []byte(x.value), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		return nil
	})
}

// within runs f on a thread of the sandbox's network namespace. /proc/sys/net shows that of the thread.
func (s *sandbox) within(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		own, err := netns.Get()
		if err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("opening own network namespace: %w", err)
			return
		}
		defer own.Close()
		err = netns.Set(s.ns)
		if err == nil {
			err = f()
		}
		// A thread that does not get back stays locked, and so ends with its goroutine.
		if back := netns.Set(own); back == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}
