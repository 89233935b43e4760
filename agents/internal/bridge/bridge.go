// Package bridge makes and repairs the node's pod bridge, gantry0. The network agent and the kubelet, which attaches pods to it, both
// call Ensure; it is idempotent, and the first call makes the bridge.
//
// The bridge's address is the first of the podCIDR and is the gateway of every pod. Its hardware address is derived from
// that address: a bridge without a configured one takes a port's, and pods would lose their gateway when that port is removed.
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

// Name is the name of the bridge.
const Name = "gantry0"

// Gateway returns the address of the bridge for a podCIDR: the first one.
func Gateway(cidr netip.Prefix) netip.Addr { return cidr.Masked().Addr().Next() }

// HardwareAddr returns the hardware address of the bridge or pod with an IPv4 address. It depends on that address only, so that
// neighbour entries stay right when a new pod gets the address.
func HardwareAddr(a netip.Addr) net.HardwareAddr {
	b := a.As4()
	return net.HardwareAddr{0x0a, 0x58, b[0], b[1], b[2], b[3]}
}

// Check returns an error unless cidr can be a podCIDR: an IPv4 range between /8 and /29.
func Check(cidr netip.Prefix) error {
	if !cidr.IsValid() || !cidr.Addr().Is4() || cidr.Bits() > 29 || cidr.Bits() < 8 {
		return fmt.Errorf("podCIDR %q: want an IPv4 range between /8 and /29", cidr)
	}
	return nil
}

// Ensure makes or repairs the bridge: it is up, has the podCIDR's gateway as its only IPv4 address, and the host forwards IPv4.
// mtu 0 stands for that of the link with the default route. Ensure is idempotent.
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
	return enableForwarding()
}

// Remove deletes the bridge. It returns nil when there is none.
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
			err = attachPorts(link)
		}
	}
	if err != nil {
		return nil, err
	}
	if link.Type() != "bridge" {
		return nil, fmt.Errorf("a link of type %s has that name", link.Type())
	}
	a := link.Attrs()
	if a.MTU != mtu {
		err = errors.Join(err, netlink.LinkSetMTU(link, mtu))
	}
	if a.HardwareAddr.String() != mac.String() {
		err = errors.Join(err, netlink.LinkSetHardwareAddr(link, mac))
	}
	if a.Flags&net.FlagUp == 0 {
		// The bridge has no IPv6: no link-local address, no duplicate address detection.
		_ = netlink.LinkSetIP6AddrGenMode(link, nl.IN6_ADDR_GEN_MODE_NONE) // fails where the host has no IPv6
		err = errors.Join(err, netlink.LinkSetUp(link))
	}
	return link, err
}

// PortPrefix is the prefix of the names of pods' links on the host; 12 hexadecimal digits follow.
const PortPrefix = "gt"

// IsPort returns whether name is that of a pod's link on the host.
func IsPort(name string) bool {
	digits, ok := strings.CutPrefix(name, PortPrefix)
	_, err := hex.DecodeString(digits)
	return ok && err == nil && len(digits) == 12
}

// attachPorts makes the existing links of pods ports of a new bridge: deleting a bridge detaches its ports and leaves the links.
func attachPorts(br netlink.Link) error {
	links, err := netlink.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return err
	}
	for _, l := range links {
		if l.Type() != "veth" || !IsPort(l.Attrs().Name) || l.Attrs().MasterIndex != 0 {
			continue
		}
		if err := errors.Join(netlink.LinkSetMaster(l, br), netlink.LinkSetHairpin(l, true)); err != nil && !absent(err) && !errors.Is(err, syscall.ENODEV) {
			return fmt.Errorf("attaching link %s: %w", l.Attrs().Name, err)
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

// enableForwarding makes the host forward IPv4 packets. It is the only sysctl of the host that Gantry changes.
func enableForwarding() error {
	b, err := os.ReadFile(ipForward)
	if err == nil && strings.TrimSpace(string(b)) == "1" {
		return nil
	}
	if err := os.WriteFile(ipForward, []byte("1\n"), 0); err != nil {
		return fmt.Errorf("enabling IPv4 forwarding: %w", err)
	}
	return nil
}

// defaultMTU is Ethernet's. It is used on a host without a default route.
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
