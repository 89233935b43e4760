// Package bridge keeps the node's pod bridge, gantry0: the network agent wants it for the node's podCIDR and the
// kubelet hangs pods on it, whichever comes first makes it.
//
// The bridge's address is the first of the podCIDR and is every pod's gateway. Its hardware address is made from
// that address, because a bridge without one of its own takes a port's, and pods would lose their gateway
// whenever that port goes.
package bridge

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
)

// Name is the bridge's.
const Name = "gantry0"

// Gateway is the address of the bridge in a podCIDR: its first one.
func Gateway(cidr netip.Prefix) netip.Addr { return cidr.Masked().Addr().Next() }

// HardwareAddr is the address on the wire of an IPv4 address, for bridge and pods alike: an address given out
// again keeps its neighbours' entries true.
func HardwareAddr(a netip.Addr) net.HardwareAddr {
	b := a.As4()
	return net.HardwareAddr{0x0a, 0x58, b[0], b[1], b[2], b[3]}
}

// Check tells why cidr cannot be a podCIDR: it must be IPv4 and hold at least one pod beside network, gateway and
// broadcast address.
func Check(cidr netip.Prefix) error {
	if !cidr.IsValid() || !cidr.Addr().Is4() || cidr.Bits() > 29 || cidr.Bits() < 8 {
		return fmt.Errorf("podCIDR %q: want an IPv4 range between /8 and /29", cidr)
	}
	return nil
}

// Ensure makes the bridge, or what it lacks: up, with the podCIDR's gateway as its only IPv4 address, and
// forwarding allowed on the host. mtu 0 takes that of the link with the default route. Calling it again changes nothing.
func Ensure(cidr netip.Prefix, mtu int) error {
	if err := Check(cidr); err != nil {
		return err
	}
	if mtu == 0 {
		mtu = uplinkMTU()
	}
	link, err := ensureLink(cidr, mtu)
	if err != nil {
		return fmt.Errorf("ensuring bridge %s: %w", Name, err)
	}
	if err := ensureAddress(link, cidr); err != nil {
		return fmt.Errorf("ensuring address of bridge %s: %w", Name, err)
	}
	return Forward()
}

// Remove deletes the bridge. An absent one is no fault.
func Remove() error {
	link, err := netlink.LinkByName(Name)
	if absent(err) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil && !absent(err) {
		return fmt.Errorf("removing bridge %s: %w", Name, err)
	}
	return nil
}

func ensureLink(cidr netip.Prefix, mtu int) (netlink.Link, error) {
	mac := HardwareAddr(Gateway(cidr))
	link, err := netlink.LinkByName(Name)
	if absent(err) {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU, attrs.HardwareAddr = Name, mtu, mac
		if err = netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil && !errors.Is(err, syscall.EEXIST) {
			return nil, err
		}
		if link, err = netlink.LinkByName(Name); err == nil {
			err = adopt(link)
		}
	}
	if err != nil {
		return nil, err
	}
	if link.Type() != "bridge" {
		return nil, fmt.Errorf("a link of type %s has its name", link.Type())
	}
	a := link.Attrs()
	if a.MTU != mtu {
		err = errors.Join(err, netlink.LinkSetMTU(link, mtu))
	}
	if a.HardwareAddr.String() != mac.String() {
		err = errors.Join(err, netlink.LinkSetHardwareAddr(link, mac))
	}
	if a.Flags&net.FlagUp == 0 {
		// The bridge is IPv4's alone: no link-local address, no duplicate address detection.
		_ = netlink.LinkSetIP6AddrGenMode(link, nl.IN6_ADDR_GEN_MODE_NONE) // fails where the host has no IPv6
		err = errors.Join(err, netlink.LinkSetUp(link))
	}
	return link, err
}

// PortPrefix starts the names of the pods' links on the host; 12 hexadecimal digits follow.
const PortPrefix = "gt"

// IsPort tells whether a link's name is one of a pod's.
func IsPort(name string) bool {
	digits, ok := strings.CutPrefix(name, PortPrefix)
	_, err := hex.DecodeString(digits)
	return ok && err == nil && len(digits) == 12
}

// adopt makes the pods' links ports of a bridge that was made anew: deleting a bridge only sets its ports free.
func adopt(br netlink.Link) error {
	links, err := netlink.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return err
	}
	for _, l := range links {
		if l.Type() != "veth" || !IsPort(l.Attrs().Name) || l.Attrs().MasterIndex != 0 {
			continue
		}
		if err := errors.Join(netlink.LinkSetMaster(l, br), netlink.LinkSetHairpin(l, true)); err != nil && !absent(err) && !errors.Is(err, syscall.ENODEV) {
			return fmt.Errorf("adopting link %s: %w", l.Attrs().Name, err)
		}
	}
	return nil
}

func ensureAddress(link netlink.Link, cidr netip.Prefix) error {
	want := netip.PrefixFrom(Gateway(cidr), cidr.Bits())
	addrs, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	found := false
	for _, a := range addrs {
		if a.IPNet.String() == want.String() {
			found = true
			continue
		}
		if err := netlink.AddrDel(link, &a); err != nil && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			return err
		}
	}
	if found {
		return nil
	}
	ip := want.Addr().AsSlice()
	err = netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: ip, Mask: net.CIDRMask(cidr.Bits(), 32)}})
	if errors.Is(err, syscall.EEXIST) {
		return nil
	}
	return err
}

const ipForward = "/proc/sys/net/ipv4/ip_forward"

// Forward allows the host to forward IPv4 packets. It is the only kernel setting Gantry changes on the host.
func Forward() error {
	b, err := os.ReadFile(ipForward)
	if err == nil && strings.TrimSpace(string(b)) == "1" {
		return nil
	}
	if err := os.WriteFile(ipForward, []byte("1\n"), 0); err != nil {
		return fmt.Errorf("allowing IPv4 forwarding: %w", err)
	}
	return nil
}

// defaultMTU is Ethernet's, for a host without a default route.
const defaultMTU = 1500

func uplinkMTU() int {
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Dst: nil}, netlink.RT_FILTER_DST)
	if err != nil || len(routes) == 0 {
		return defaultMTU
	}
	link, err := netlink.LinkByIndex(routes[0].LinkIndex)
	if err != nil || link.Attrs().MTU < 576 || link.Attrs().MTU > 65535 {
		return defaultMTU
	}
	return link.Attrs().MTU
}

func absent(err error) bool { return errors.As(err, new(netlink.LinkNotFoundError)) }
