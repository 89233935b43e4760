package podnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
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

func (s *sandbox) address() (netip.Addr, error) {
	link, err := s.h.LinkByName(eth0)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return netip.Addr{}, ErrNoAddress
	}
	if err != nil {
		return netip.Addr{}, fmt.Errorf("looking for %s in the sandbox: %w", eth0, err)
	}
	addrs, err := s.h.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("listing addresses in the sandbox: %w", err)
	}
	if len(addrs) == 0 {
		return netip.Addr{}, ErrNoAddress
	}
	a, _ := netip.AddrFromSlice(addrs[0].IP.To4())
	return a, nil
}

// connect makes the pair and everything on both of its ends. The alias comes last: it marks the link as complete.
func connect(podUID string, addr netip.Addr, sb *sandbox, gateway netip.Addr) error {
	if err := Teardown(podUID); err != nil {
		return err
	}
	if stale, err := sb.h.LinkByName(eth0); err == nil {
		if err := sb.h.LinkDel(stale); err != nil {
			return fmt.Errorf("removing stale %s in the sandbox: %w", eth0, err)
		}
	}
	host, err := addPair(LinkName(podUID), addr, sb.ns)
	if err != nil {
		return err
	}
	if err := sb.configure(addr, gateway); err != nil {
		return err
	}
	sb.settle(host)
	if err := netlink.LinkSetAlias(host, podUID+" "+addr.String()); err != nil {
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
	_ = netlink.LinkSetIP6AddrGenMode(pair, nl.IN6_ADDR_GEN_MODE_NONE) // fails where the host has no IPv6
	if err := netlink.LinkSetUp(pair); err != nil {
		return nil, fmt.Errorf("setting link %s up: %w", name, err)
	}
	return pair, nil
}

func (s *sandbox) configure(addr, gateway netip.Addr) error {
	if err := s.sysctls(); err != nil {
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
	if err := s.h.AddrAdd(link, &netlink.Addr{IPNet: ipNet(addr, 32)}); err != nil {
		return fmt.Errorf("adding address %s: %w", addr, err)
	}
	if err := s.h.LinkSetUp(link); err != nil {
		return fmt.Errorf("setting %s up in the sandbox: %w", eth0, err)
	}
	index := link.Attrs().Index
	onLink := &netlink.Route{LinkIndex: index, Dst: ipNet(gateway, 32), Scope: netlink.SCOPE_LINK, Src: addr.AsSlice()}
	if err := s.h.RouteAdd(onLink); err != nil {
		return fmt.Errorf("adding route to gateway %s: %w", gateway, err)
	}
	// Dst nil with a gateway is the default route.
	if err := s.h.RouteAdd(&netlink.Route{LinkIndex: index, Gw: gateway.AsSlice(), Src: addr.AsSlice()}); err != nil {
		return fmt.Errorf("adding default route by %s: %w", gateway, err)
	}
	return nil
}

// sysctls are the pod's own settings: no IPv6 on eth0, and no redirects accepted, which the host sends when it forwards a
// packet back to the bridge it came from.
func (s *sandbox) sysctls() error {
	settings := []struct{ path, value string }{
		{"/proc/sys/net/ipv4/conf/all/accept_redirects", "0"},
		{"/proc/sys/net/ipv4/conf/" + eth0 + "/accept_redirects", "0"},
		{"/proc/sys/net/ipv6/conf/" + eth0 + "/disable_ipv6", "1"},
	}
	return s.within(func() error {
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
