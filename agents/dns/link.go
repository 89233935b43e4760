package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// linkName is the dummy link that has the cluster DNS address.
const linkName = "gantry-dns"

// ensureLink makes or repairs the link: it is up and has the address, with the longest prefix, as the only one of its family.
func ensureLink(address netip.Addr) error {
	link, err := netlink.LinkByName(linkName)
	if absent(err) {
		if err = addLink(); err == nil || errors.Is(err, syscall.EEXIST) {
			link, err = netlink.LinkByName(linkName)
		}
	}
	if err != nil {
		return fmt.Errorf("making link %s: %w", linkName, err)
	}
	if link.Type() != "dummy" && link.Type() != "bridge" {
		return fmt.Errorf("making link %s: a link of type %s has that name", linkName, link.Type())
	}
	if link.Attrs().Flags&net.FlagUp == 0 {
		_ = netlink.LinkSetIP6AddrGenMode(link, nl.IN6_ADDR_GEN_MODE_NONE) // fails where the host has no IPv6
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("setting link %s up: %w", linkName, err)
		}
	}
	if err := ensureAddress(link, address); err != nil {
		return fmt.Errorf("setting the address of link %s: %w", linkName, err)
	}
	return nil
}

// addLink makes the link: a dummy or, where the kernel has none, a bridge without ports, which pods' network needs anyway.
func addLink() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = linkName
	err := netlink.LinkAdd(&netlink.Dummy{LinkAttrs: attrs})
	if errors.Is(err, syscall.EOPNOTSUPP) {
		err = netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs})
	}
	return err
}

func ensureAddress(link netlink.Link, address netip.Addr) error {
	family, bits, flags := netlink.FAMILY_V4, address.BitLen(), 0
	if address.Is6() {
		family, flags = netlink.FAMILY_V6, unix.IFA_F_NODAD // no other host has the address: it can be bound at once
	}
	addrs, err := netlink.AddrList(link, family)
	if err != nil {
		return err
	}
	want := netip.PrefixFrom(address, bits).String()
	found := false
	for _, a := range addrs {
		if a.IPNet.String() == want {
			found = true
		} else if err := netlink.AddrDel(link, &a); err != nil && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			return err
		}
	}
	if found {
		return nil
	}
	err = netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: address.AsSlice(), Mask: net.CIDRMask(bits, bits)}, Flags: flags})
	if errors.Is(err, syscall.EEXIST) {
		return nil
	}
	return err
}

// waitForLink waits until the link or its addresses may have changed, at most d.
func waitForLink(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	links, addrs := make(chan netlink.LinkUpdate, 64), make(chan netlink.AddrUpdate, 64)
	ignore := func(error) {}
	if err := netlink.LinkSubscribeWithOptions(links, ctx.Done(), netlink.LinkSubscribeOptions{ErrorCallback: ignore}); err != nil {
		return fmt.Errorf("listening to links: %w", err)
	}
	if err := netlink.AddrSubscribeWithOptions(addrs, ctx.Done(), netlink.AddrSubscribeOptions{ErrorCallback: ignore}); err != nil {
		return fmt.Errorf("listening to addresses: %w", err)
	}
	// Both channels are read until they are closed, so that the library's goroutines end.
	for links != nil || addrs != nil {
		select {
		case u, ok := <-links:
			if !ok {
				links = nil
			} else if u.Attrs().Name == linkName {
				cancel()
			}
		case _, ok := <-addrs:
			if !ok {
				addrs = nil
			} else {
				cancel()
			}
		}
	}
	<-ctx.Done()
	return nil
}

// Clean removes the link. It returns nil when there is none.
func Clean() error {
	link, err := netlink.LinkByName(linkName)
	if absent(err) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil && !absent(err) {
		return fmt.Errorf("removing link %s: %w", linkName, err)
	}
	return nil
}

func absent(err error) bool { return errors.As(err, new(netlink.LinkNotFoundError)) }
