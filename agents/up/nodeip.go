package up

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// nodeIPs are this machine's addresses, the first one of the pods' first family: those of --node-ip, else one for each family that pods have.
func (c Config) nodeIPs() (all []netip.Addr, err error) {
	if c.NodeIP != "" {
		return parseNodeIPs(c.NodeIP)
	}
	for i, p := range c.clusterCIDRs() {
		switch a, err := nodeAddress(p.Addr().Is6()); {
		case err == nil:
			all = append(all, a)
		case i == 0:
			return nil, err
		}
	}
	return all, nil
}

// parseNodeIPs parses --node-ip: an address, or one of each family with a comma between them.
func parseNodeIPs(text string) (all []netip.Addr, err error) {
	for part := range strings.SplitSeq(text, ",") {
		a, err := netip.ParseAddr(strings.TrimSpace(part))
		if err != nil || a.Is4In6() || !a.IsGlobalUnicast() {
			return nil, fmt.Errorf("--node-ip: %q is not an address that other machines can reach", part)
		}
		if slices.ContainsFunc(all, func(b netip.Addr) bool { return a.Is4() == b.Is4() }) {
			return nil, fmt.Errorf("--node-ip: %s is the second address of its family", a)
		}
		all = append(all, a)
	}
	return all, nil
}

// nodeAddress is the address of the interface that the default route of a family uses, else the first global unicast address.
func nodeAddress(ipv6 bool) (netip.Addr, error) {
	// Nothing is sent: connecting a UDP socket only asks the kernel for the route. 192.0.2.0/24 is RFC 5737's, 2001:db8::/32 RFC 3849's.
	network, to := "udp4", "192.0.2.1:9"
	if ipv6 {
		network, to = "udp6", "[2001:db8::1]:9"
	}
	if conn, err := net.Dial(network, to); err == nil {
		defer conn.Close()
		return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("finding this machine's address: %w", err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is6() == ipv6 && p.Addr().IsGlobalUnicast() {
			return p.Addr(), nil
		}
	}
	if ipv6 {
		return netip.Addr{}, errors.New("this machine has no IPv6 address but loopback's: pass --node-ip")
	}
	return netip.Addr{}, errors.New("this machine has no IPv4 address but loopback's: pass --node-ip")
}
