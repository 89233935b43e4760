package up

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"gantry/agents/internal/addressrange"
)

// networkFaults are the faults of the ranges of addresses.
func (c Config) networkFaults() (faults []error) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	networks := map[string][]netip.Prefix{}
	for flag, text := range map[string]string{"--cluster-cidr": c.ClusterCIDR, "--service-cluster-ip-range": c.ServiceCIDR} {
		all, err := addressrange.ParseFamilies(text)
		if err != nil {
			fault("%s: %w", flag, err)
		}
		for _, p := range all {
			if p.Addr().Is4() && p.Bits() > 24 {
				fault("%s: %s is smaller than an IPv4 network of /24, such as 10.244.0.0/16", flag, p)
			}
		}
		networks[flag] = all
	}
	for _, p := range networks["--cluster-cidr"] {
		flag, bits := "--node-cidr-mask-size-ipv4", c.NodeMask4
		if p.Addr().Is6() {
			flag, bits = "--node-cidr-mask-size-ipv6", c.NodeMask6
		}
		if most := min(p.Bits()+16, p.Addr().BitLen()); bits < p.Bits() || bits > most {
			fault("%s: %d does not fit --cluster-cidr %s: want %d to %d", flag, bits, p, p.Bits(), most)
		}
	}
	for _, p := range networks["--service-cluster-ip-range"] {
		if p.Addr().Is6() && (p.Bits() < 64 || p.Bits() > 120) {
			fault("--service-cluster-ip-range: %s is not an IPv6 network of /64 to /120, such as fd00:96::/112", p)
		}
		for _, pods := range networks["--cluster-cidr"] {
			if p.Overlaps(pods) {
				fault("--cluster-cidr %s and --service-cluster-ip-range %s overlap", pods, p)
			}
		}
	}
	ranges, err := addressrange.Parse(c.LoadBalancers)
	if err != nil {
		fault("--load-balancer-addresses: %w", err)
	}
	for _, flag := range slices.Sorted(maps.Keys(networks)) {
		for _, p := range networks[flag] {
			if ranges.Overlaps(p) {
				fault("--load-balancer-addresses: %s has addresses of %s %s: leave them out", ranges, flag, p)
			}
		}
	}
	return faults
}

// clusterCIDRs are the networks of ClusterCIDR, the primary one first, once Validate has accepted them.
func (c Config) clusterCIDRs() []netip.Prefix { return mustParseFamilies(c.ClusterCIDR) }

// serviceCIDRs is clusterCIDRs for ServiceCIDR.
func (c Config) serviceCIDRs() []netip.Prefix { return mustParseFamilies(c.ServiceCIDR) }

func mustParseFamilies(text string) []netip.Prefix {
	all, err := addressrange.ParseFamilies(text)
	if err != nil {
		panic(err)
	}
	return all
}

// loadBalancers are LoadBalancers once Validate has accepted them.
func (c Config) loadBalancers() addressrange.Ranges {
	ranges, err := addressrange.Parse(c.LoadBalancers)
	if err != nil {
		return nil
	}
	return ranges
}
