package trace

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
)

// States of sockets that take what anyone sends, as the kernel numbers them: TCP_LISTEN, and TCP_CLOSE for UDP, whose other state is that of a
// socket with one peer.
const (
	tcpListen = "0A"
	udpOpen   = "07"
)

// ParseSockets returns where sockets listen by /proc/<pid>/net/tcp, tcp6, udp or udp6:
//
//	sl  local_address rem_address   st tx_queue rx_queue ...
//	0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 ...
//
// Addresses are 32-bit words in the host's byte order.
func ParseSockets(text, protocol string) (all []netip.AddrPort) {
	state := tcpListen
	if protocol == "udp" {
		state = udpOpen
	}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 4 || f[3] != state {
			continue
		}
		address, port, _ := strings.Cut(f[1], ":")
		raw, err := hex.DecodeString(address)
		number, perr := strconv.ParseUint(port, 16, 16)
		if err != nil || perr != nil || len(raw)%4 != 0 {
			continue
		}
		for i := 0; i < len(raw); i += 4 {
			binary.BigEndian.PutUint32(raw[i:], binary.NativeEndian.Uint32(raw[i:]))
		}
		if a, ok := netip.AddrFromSlice(raw); ok {
			all = append(all, netip.AddrPortFrom(a.Unmap(), uint16(number)))
		}
	}
	return all
}
