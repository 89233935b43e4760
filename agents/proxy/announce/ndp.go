package announce

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// advertisement is an Ethernet frame with an unsolicited neighbour advertisement to all hosts (RFC 4861 sections 4.4 and 7.2.6): a is at the
// hardware address. It overrides what they know, and says that the sender is a router: it forwards packets.
func advertisement(from, hardware net.HardwareAddr, a netip.Addr) []byte {
	const (
		icmp           = unix.IPPROTO_ICMPV6
		hopLimit       = 255
		kind           = 136
		routerOverride = 0xa0
		targetHardware = 2
	)
	allHosts := netip.IPv6LinkLocalAllNodes()
	message := append([]byte{kind, 0, 0, 0, routerOverride, 0, 0, 0}, a.AsSlice()...)
	message = append(append(message, targetHardware, 1), hardware...)
	length := uint16(len(message))
	pseudo := append(a.AsSlice(), allHosts.AsSlice()...)
	pseudo = append(binary.BigEndian.AppendUint32(pseudo, uint32(length)), 0, 0, 0, icmp)
	binary.BigEndian.PutUint16(message[2:], checksum(append(pseudo, message...)))

	b := append([]byte{0x33, 0x33, 0, 0, 0, 1}, from...)
	b = binary.BigEndian.AppendUint16(b, unix.ETH_P_IPV6)
	b = binary.BigEndian.AppendUint16(append(b, 6<<4, 0, 0, 0), length)
	b = append(b, icmp, hopLimit)
	b = append(append(b, a.AsSlice()...), allHosts.AsSlice()...)
	return append(b, message...)
}
