package announce

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
)

// LinkName is the name of the link that has the addresses: a bridge without ports, because a kernel may lack dummy links, and pods need bridges
// anyway.
const LinkName = "gantry-lb"

// set makes the link have exactly these addresses, and returns those that it did not have. Without addresses there is no link.
func set(wanted []netip.Addr) (added []netip.Addr, err error) {
	if len(wanted) == 0 {
		return nil, Clean()
	}
	link, err := ensureLink()
	if err != nil {
		return nil, fmt.Errorf("ensuring link %s: %w", LinkName, err)
	}
	have, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("listing addresses of link %s: %w", LinkName, err)
	}
	missing := map[netip.Addr]bool{}
	for _, a := range wanted {
		missing[a] = true
	}
	var errs []error
	for _, h := range have {
		a, _ := netip.AddrFromSlice(h.IP.To4())
		if ones, _ := h.Mask.Size(); missing[a] && ones == 32 {
			delete(missing, a)
			continue
		}
		if err := netlink.AddrDel(link, &h); err != nil && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			errs = append(errs, fmt.Errorf("removing %s from link %s: %w", a, LinkName, err))
		}
	}
	for _, a := range wanted {
		if !missing[a] {
			continue
		}
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(32, 32)}}); err != nil && !errors.Is(err, syscall.EEXIST) {
			errs = append(errs, fmt.Errorf("adding %s to link %s: %w", a, LinkName, err))
			continue
		}
		added = append(added, a)
	}
	return added, errors.Join(errs...)
}

func ensureLink() (netlink.Link, error) {
	link, err := netlink.LinkByName(LinkName)
	if isAbsent(err) {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = LinkName
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil && !errors.Is(err, syscall.EEXIST) {
			return nil, err
		}
		link, err = netlink.LinkByName(LinkName)
	}
	if err != nil {
		return nil, err
	}
	if link.Type() != "bridge" {
		return nil, fmt.Errorf("it is a %s, not a bridge: rename it", link.Type())
	}
	return link, netlink.LinkSetUp(link)
}

// Clean removes the link with its addresses. It returns nil when there is none, and leaves a link of the name that is not a bridge.
func Clean() error {
	link, err := netlink.LinkByName(LinkName)
	if isAbsent(err) || (err == nil && link.Type() != "bridge") {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil && !isAbsent(err) {
		return fmt.Errorf("removing link %s: %w", LinkName, err)
	}
	return nil
}

func isAbsent(err error) bool {
	var notFound netlink.LinkNotFoundError
	return errors.As(err, &notFound) || errors.Is(err, syscall.ENODEV)
}
