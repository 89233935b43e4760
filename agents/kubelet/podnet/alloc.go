package podnet

import (
	"net/netip"

	"gantry/agents/internal/bridge"
)

// next is the first free address of cidr after another, starting over at its end: an address just freed is allocated last, so that
// clients of its old pod do not reach another one. Network, gateway and broadcast address are never allocated. Pure.
func next(cidr netip.Prefix, after netip.Addr, taken func(netip.Addr) bool) (netip.Addr, error) {
	cidr = cidr.Masked()
	gateway := bridge.Gateway(cidr)
	at := after
	if !at.IsValid() || !cidr.Contains(at) {
		at = gateway
	}
	for range 1 << (32 - cidr.Bits()) {
		at = at.Next()
		if !at.IsValid() || !cidr.Contains(at) {
			at = gateway.Next()
		}
		broadcast := !cidr.Contains(at.Next())
		if at != cidr.Addr() && at != gateway && !broadcast && !taken(at) {
			return at, nil
		}
	}
	return netip.Addr{}, ErrFull
}
