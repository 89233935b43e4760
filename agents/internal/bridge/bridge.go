// Package bridge makes and repairs the node's pod bridge, gantry0. The network agent and the kubelet, which attaches pods to it, both
// call Ensure; it is idempotent, and the first call makes the bridge.
//
// The bridge's address in each family is the first of the podCIDR and is the gateway of every pod. Its hardware address is derived from
// the first of them: a bridge without a configured one takes a port's, and pods would lose their gateway when that port is removed.
package bridge

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// Name is the name of the bridge.
const Name = "gantry0"

// PodCIDRs returns a node's ranges of pod addresses, one for each family.
func PodCIDRs(n *corev1.Node) []string {
	if len(n.Spec.PodCIDRs) == 0 && n.Spec.PodCIDR != "" {
		return []string{n.Spec.PodCIDR}
	}
	return n.Spec.PodCIDRs
}

// Gateway returns the address of the bridge for a podCIDR: the first one.
func Gateway(cidr netip.Prefix) netip.Addr { return cidr.Masked().Addr().Next() }

// HardwareAddr returns the hardware address of the bridge or pod whose first address is a. It depends on the last 4 bytes of that only, so
// that neighbour entries stay right when a new pod gets the address.
func HardwareAddr(a netip.Addr) net.HardwareAddr {
	b := a.AsSlice()
	return append(net.HardwareAddr{0x0a, 0x58}, b[len(b)-4:]...)
}

// LinkLocal returns the IPv6 link-local address for a hardware address (RFC 4291, appendix A).
func LinkLocal(mac net.HardwareAddr) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3], 14: mac[4], 15: mac[5]})
}

// Check returns an error unless cidr can be a podCIDR: an IPv4 range between /8 and /29, or an IPv6 range between /16 and /125.
func Check(cidr netip.Prefix) error {
	switch bits := cidr.Bits(); {
	case cidr.Addr().Is4() && bits >= 8 && bits <= 29:
	case cidr.Addr().Is6() && bits >= 16 && bits <= 125 && cidr.Addr().IsGlobalUnicast() && !cidr.Addr().Is4In6():
	default:
		return fmt.Errorf("podCIDR %q: want an IPv4 range between /8 and /29 or an IPv6 range between /16 and /125", cidr)
	}
	return nil
}

// Ensure makes or repairs the bridge: it is up, has the gateways of podCIDRs, one for each family, as its only addresses, and the host
// forwards these families. mtu 0 stands for that of the link with the default route. Ensure is idempotent.
func Ensure(cidrs []netip.Prefix, mtu int) error {
	if len(cidrs) == 0 {
		return errors.New("the node has no podCIDR yet")
	}
	for _, cidr := range cidrs {
		if err := Check(cidr); err != nil {
			return err
		}
	}
	if mtu == 0 {
		mtu = uplinkMTU()
	}
	link, err := ensureLink(cidrs[0], mtu)
	if err != nil {
		return fmt.Errorf("ensuring bridge %s: %w", Name, err)
	}
	for _, cidr := range cidrs {
		if err := ensureAddress(link, cidr); err != nil {
			return fmt.Errorf("ensuring address of bridge %s: %w", Name, err)
		}
		if err := enableForwarding(cidr.Addr()); err != nil {
			return err
		}
	}
	return nil
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
		a.HardwareAddr = mac
	}
	if a.Flags&net.FlagUp == 0 {
		// The kernel adds no link-local address, which would not be usable before duplicate address detection; ensureAddress does.
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

// ensureAddress makes the gateway the link's only address of its family, but for the link-local one of IPv6.
func ensureAddress(link netlink.Link, cidr netip.Prefix) error {
	want, family := []netip.Prefix{netip.PrefixFrom(Gateway(cidr), cidr.Bits())}, netlink.FAMILY_V4
	if cidr.Addr().Is6() {
		// Neighbours are asked for from the link-local address.
		want, family = append(want, netip.PrefixFrom(LinkLocal(link.Attrs().HardwareAddr), 64)), netlink.FAMILY_V6
		if err := PrepareIPv6(Name); err != nil {
			return err
		}
	}
	addrs, err := netlink.AddrList(link, family)
	if err != nil {
		return err
	}
	for _, a := range addrs {
		if i := slices.IndexFunc(want, func(p netip.Prefix) bool { return p.String() == a.IPNet.String() }); i >= 0 {
			want = slices.Delete(want, i, i+1)
			continue
		}
		if err := netlink.AddrDel(link, &a); err != nil && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			return err
		}
	}
	for _, p := range want {
		if err := netlink.AddrAdd(link, Address(p)); err != nil && !errors.Is(err, syscall.EEXIST) {
			return err
		}
	}
	return nil
}

// Address returns p as an address that is usable at once: without the second that detecting duplicates takes in IPv6.
func Address(p netip.Prefix) *netlink.Addr {
	a := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	return a
}

// PrepareIPv6 allows IPv6 on a link of the thread's network namespace, whose routers and addresses no advertisement of a pod changes.
func PrepareIPv6(link string) error {
	for name, value := range map[string]string{"disable_ipv6": "0", "accept_ra": "0", "accept_redirects": "0"} {
		if err := setSysctl("/proc/sys/net/ipv6/conf/"+link+"/"+name, value); err != nil {
			return fmt.Errorf("preparing IPv6 on link %s: %w", link, err)
		}
	}
	return nil
}

// setSysctl writes a value where it is another.
func setSysctl(path, value string) error {
	if b, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(b)) == value {
		return nil
	}
	return os.WriteFile(path, []byte(value+"\n"), 0)
}

const (
	ipv4Forward = "/proc/sys/net/ipv4/ip_forward"
	ipv6Conf    = "/proc/sys/net/ipv6/conf/"
	ipv6Forward = ipv6Conf + "all/forwarding"
)

// enableForwarding makes the host forward packets of an address's family. These, and accept_ra, are the only sysctls of the host that Gantry
// changes.
func enableForwarding(a netip.Addr) error {
	if a.Is4() {
		if err := setSysctl(ipv4Forward, "1"); err != nil {
			return fmt.Errorf("enabling IPv4 forwarding: %w", err)
		}
		return nil
	}
	if b, err := os.ReadFile(ipv6Forward); err == nil && strings.TrimSpace(string(b)) == "1" {
		return nil
	}
	if err := errors.Join(keepAdvertisements(), setSysctl(ipv6Forward, "1")); err != nil {
		return fmt.Errorf("enabling IPv6 forwarding: %w", err)
	}
	return nil
}

// keepAdvertisements makes the links whose default routes come from router advertisements accept them also while the host forwards: with
// accept_ra 1 the kernel would ignore them then, and the host would lose its default route.
func keepAdvertisements() error {
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V6, &netlink.Route{Protocol: unix.RTPROT_RA}, netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return err
	}
	for _, r := range routes {
		link, err := netlink.LinkByIndex(r.LinkIndex)
		if err != nil {
			continue // it is gone
		}
		path := ipv6Conf + link.Attrs().Name + "/accept_ra"
		if b, err := os.ReadFile(path); err != nil || strings.TrimSpace(string(b)) != "1" {
			continue
		}
		if err := setSysctl(path, "2"); err != nil {
			return err
		}
	}
	return nil
}

// defaultMTU is Ethernet's. It is used on a host without a default route.
const defaultMTU = 1500

func uplinkMTU() int {
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Dst: nil}, netlink.RT_FILTER_DST)
	if err == nil && len(routes) == 0 {
		routes, err = netlink.RouteListFiltered(netlink.FAMILY_V6, &netlink.Route{Dst: nil}, netlink.RT_FILTER_DST)
	}
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
