package announce

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink"

	"gantry/agents/internal/bridge"
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
	have, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("listing addresses of link %s: %w", LinkName, err)
	}
	missing := map[netip.Addr]bool{}
	for _, a := range wanted {
		missing[a] = true
	}
	var errs []error
	for _, h := range have {
		a := addrOf(h)
		if ones, bits := h.Mask.Size(); missing[a] && ones == bits || a.IsLinkLocalUnicast() {
			delete(missing, a)
			continue
		}
		errs = append(errs, setAnswering(a, false))
		if err := netlink.AddrDel(link, &h); err != nil && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			errs = append(errs, fmt.Errorf("removing %s from link %s: %w", a, LinkName, err))
		}
	}
	for _, a := range wanted {
		if missing[a] {
			if err := add(link, a); err != nil {
				errs = append(errs, fmt.Errorf("adding %s to link %s: %w", a, LinkName, err))
				continue
			}
			added = append(added, a)
		}
		errs = append(errs, setAnswering(a, true))
	}
	return added, errors.Join(errs...)
}

// addresses are those of the link; none where there is no link.
func addresses() (all []netip.Addr) {
	link, err := netlink.LinkByName(LinkName)
	if err != nil {
		return nil
	}
	list, _ := netlink.AddrList(link, netlink.FAMILY_ALL)
	for _, x := range list {
		all = append(all, addrOf(x))
	}
	return all
}

func addrOf(x netlink.Addr) netip.Addr {
	a, _ := netip.AddrFromSlice(x.IP)
	return a.Unmap()
}

func add(link netlink.Link, a netip.Addr) error {
	if a.Is6() {
		if err := bridge.PrepareIPv6(LinkName); err != nil {
			return err
		}
	}
	if err := netlink.AddrAdd(link, bridge.Address(netip.PrefixFrom(a, a.BitLen()))); err != nil && !errors.Is(err, syscall.EEXIST) {
		return err
	}
	return nil
}

// setAnswering makes the kernel answer neighbour solicitations for an IPv6 address on the links that have a subnet with it, or no more: other
// than for IPv4, it does so only for addresses of the link itself. They have the address too, deprecated (preferred for 0 seconds), so
// that the kernel does not choose it for packets that this host sends.
func setAnswering(a netip.Addr, on bool) error {
	if !a.Is6() {
		return nil
	}
	links, err := netlink.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return fmt.Errorf("listing links: %w", err)
	}
	var errs []error
	for _, link := range links {
		if link.Attrs().Name == LinkName {
			continue
		}
		addrs, err := netlink.AddrList(link, netlink.FAMILY_V6)
		if err != nil {
			continue // the link is gone
		}
		i := slices.IndexFunc(addrs, func(x netlink.Addr) bool {
			ones, bits := x.Mask.Size()
			return addrOf(x) == a && ones == bits && x.PreferedLft == 0
		})
		switch wanted := on && hasSubnet(addrs, a); {
		case wanted && i < 0:
			x := bridge.Address(netip.PrefixFrom(a, a.BitLen()))
			x.ValidLft = math.MaxInt32 // seconds
			err = netlink.AddrAdd(link, x)
		case !on && i >= 0:
			err = netlink.AddrDel(link, &addrs[i])
		}
		if err != nil && !errors.Is(err, syscall.EEXIST) && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			errs = append(errs, fmt.Errorf("setting %s on link %s: %w", a, link.Attrs().Name, err))
		}
	}
	return errors.Join(errs...)
}

func hasSubnet(addrs []netlink.Addr, a netip.Addr) bool {
	return slices.ContainsFunc(addrs, func(x netlink.Addr) bool {
		ones, bits := x.Mask.Size()
		return ones < bits && x.Contains(a.AsSlice())
	})
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
	var errs []error
	if err == nil {
		addrs, _ := netlink.AddrList(link, netlink.FAMILY_V6)
		for _, x := range addrs {
			errs = append(errs, setAnswering(addrOf(x), false))
		}
		err = netlink.LinkDel(link)
	}
	if err != nil && !isAbsent(err) {
		errs = append(errs, fmt.Errorf("removing link %s: %w", LinkName, err))
	}
	return errors.Join(errs...)
}

func isAbsent(err error) bool {
	var notFound netlink.LinkNotFoundError
	return errors.As(err, &notFound) || errors.Is(err, syscall.ENODEV)
}
