package announce

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// ARP operations (RFC 826).
const arpRequest, arpReply = 1, 2

// sendGratuitous tells the networks that have an address in their subnet which hardware address it has now (RFC 5227 section 3). Both forms
// are sent: some hosts update their entries by requests only, some by replies only.
func sendGratuitous(a netip.Addr) error {
	links, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("listing links: %w", err)
	}
	var errs []error
	for _, link := range links {
		if !isOnLink(link, a) {
			continue
		}
		for _, op := range []uint16{arpRequest, arpReply} {
			if err := sendFrame(link, gratuitousFrame(link.HardwareAddr, a, op)); err != nil {
				errs = append(errs, fmt.Errorf("announcing %s on link %s: %w", a, link.Name, err))
			}
		}
	}
	return errors.Join(errs...)
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
		if p, err := netip.ParsePrefix(x.String()); err == nil && p.Contains(a) {
			return true
		}
	}
	return false
}

// gratuitousFrame is an Ethernet frame to all hosts: a is at the hardware address.
func gratuitousFrame(hardware net.HardwareAddr, a netip.Addr, op uint16) []byte {
	broadcast := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	target := make([]byte, 6)
	if op == arpReply {
		target = broadcast
	}
	b := append(append([]byte{}, broadcast...), hardware...)
	b = binary.BigEndian.AppendUint16(b, unix.ETH_P_ARP)
	b = append(b, 0, 1, 8, 0, 6, 4) // Ethernet, IPv4, and the lengths of their addresses
	b = binary.BigEndian.AppendUint16(b, op)
	b = append(append(b, hardware...), a.AsSlice()...)
	return append(append(b, target...), a.AsSlice()...)
}

func sendFrame(link net.Interface, frame []byte) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	to := unix.SockaddrLinklayer{Ifindex: link.Index, Protocol: binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ARP))}
	return unix.Sendto(fd, frame, 0, &to)
}
