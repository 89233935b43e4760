package podnet

import (
	"net/netip"

	"gantry/agents/internal/bridge"
)

// maxTries bounds, as a power of two, how many addresses are tried: a node has fewer pods.
const maxTries = 24

// next is the first free address of cidr after another, starting over at its end: an address just freed is allocated last, so that
// clients of its old pod do not reach another one. Network and gateway address, and the broadcast address of IPv4, are never allocated. Pure.
func next(cidr netip.Prefix, after netip.Addr, taken func(netip.Addr) bool) (netip.Addr, error) {
	cidr = cidr.Masked()
	gateway := bridge.Gateway(cidr)
	at := after
	if !at.IsValid() || !cidr.Contains(at) {
		at = gateway
	}
	for range 1 << min(cidr.Addr().BitLen()-cidr.Bits(), maxTries) {
		at = at.Next()
		if !at.IsValid() || !cidr.Contains(at) {
			at = gateway.Next()
		}
		broadcast := at.Is4() && !cidr.Contains(at.Next())
		if at != cidr.Addr() && at != gateway && !broadcast && !taken(at) {
			return at, nil
		}
	}
	return netip.Addr{}, ErrFull
}
