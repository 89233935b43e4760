package announce

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ARP operations (RFC 826).
const arpRequest, arpReply = 1, 2

// sendGratuitous tells the networks that have an address in their subnet that it has this host's hardware address now.
func sendGratuitous(a netip.Addr) error {
	links, err := linksWith(a)
	if err != nil {
		return err
	}
	var errs []error
	for _, link := range links {
		errs = append(errs, sendFrames(link, link.HardwareAddr, a))
	}
	return errors.Join(errs...)
}

// sendGratuitousFor is sendGratuitous with the hardware address of another node, where this host knows it.
func sendGratuitousFor(node, a netip.Addr) error {
	links, err := linksWith(a)
	if err != nil {
		return err
	}
	var errs []error
	for _, link := range links {
		neighbours, err := netlink.NeighList(link.Index, netlink.FAMILY_ALL)
		if err != nil {
			return fmt.Errorf("listing neighbours on link %s: %w", link.Name, err)
		}
		for _, n := range neighbours {
			if ip, _ := netip.AddrFromSlice(n.IP); ip.Unmap() == node && len(n.HardwareAddr) == 6 {
				errs = append(errs, sendFrames(link, n.HardwareAddr, a))
			}
		}
	}
	return errors.Join(errs...)
}

// sendFrames tells a link's network that an address is at a hardware address. In IPv4 (RFC 5227 section 3) both forms are sent: some hosts
// update their entries by requests only, some by replies only.
func sendFrames(link net.Interface, hardware net.HardwareAddr, a netip.Addr) error {
	frames, kind := [][]byte{gratuitousFrame(link.HardwareAddr, hardware, a, arpRequest), gratuitousFrame(link.HardwareAddr, hardware, a, arpReply)}, uint16(unix.ETH_P_ARP)
	if a.Is6() {
		frames, kind = [][]byte{advertisement(link.HardwareAddr, hardware, a)}, unix.ETH_P_IPV6
	}
	for _, frame := range frames {
		if err := sendFrame(link, kind, frame); err != nil {
			return fmt.Errorf("announcing %s on link %s: %w", a, link.Name, err)
		}
	}
	return nil
}

// linksWith returns the links that have a subnet with an address.
func linksWith(a netip.Addr) ([]net.Interface, error) {
	links, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("listing links: %w", err)
	}
	return slices.DeleteFunc(links, func(l net.Interface) bool { return !isOnLink(l, a) }), nil
}

// isOnLink returns whether the link is an Ethernet that is up and has a subnet with the address.
func isOnLink(link net.Interface, a netip.Addr) bool {
	if link.Flags&net.FlagUp == 0 || link.Flags&net.FlagBroadcast == 0 || len(link.HardwareAddr) != 6 || link.Name == LinkName {
		return false
	}
	addrs, err := link.Addrs()
	if err != nil {
		return false
	}
	for _, x := range addrs {
		if p, err := netip.ParsePrefix(x.String()); err == nil && p.Contains(a) && !p.IsSingleIP() {
			return true
		}
	}
	return false
}

// gratuitousFrame is an Ethernet frame of a link to all hosts: a is at the hardware address.
func gratuitousFrame(from, hardware net.HardwareAddr, a netip.Addr, op uint16) []byte {
	broadcast := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	target := make([]byte, 6)
	if op == arpReply {
		target = broadcast
	}
	b := append(append([]byte{}, broadcast...), from...)
	b = binary.BigEndian.AppendUint16(b, unix.ETH_P_ARP)
	b = append(b, 0, 1, 8, 0, 6, 4) // Ethernet, IPv4, and the lengths of their addresses
	b = binary.BigEndian.AppendUint16(b, op)
	b = append(append(b, hardware...), a.AsSlice()...)
	return append(append(b, target...), a.AsSlice()...)
}

func sendFrame(link net.Interface, kind uint16, frame []byte) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	to := unix.SockaddrLinklayer{Ifindex: link.Index, Protocol: binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, kind))}
	return unix.Sendto(fd, frame, 0, &to)
}
