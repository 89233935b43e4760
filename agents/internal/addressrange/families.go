package addressrange

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// ParseFamilies parses the comma separated networks of a flag: one, or one of each address family, of which the first is the primary one.
// An error names the text that is wrong and what to write instead.
func ParseFamilies(text string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for one := range strings.SplitSeq(text, ",") {
		p, err := netip.ParsePrefix(strings.TrimSpace(one))
		switch {
		case err != nil:
			return nil, err
		case p != p.Masked():
			return nil, fmt.Errorf("%q has bits set behind the prefix: want %s", one, p.Masked())
		case p.Addr().Is4In6():
			return nil, fmt.Errorf("%q is an IPv4 network as IPv6", one)
		}
		out = append(out, p)
	}
	switch {
	case len(out) > 2:
		return nil, errors.New("more than two networks: want one, or one of IPv4 and one of IPv6")
	case len(out) == 2 && out[0].Addr().Is4() == out[1].Addr().Is4():
		return nil, fmt.Errorf("%s and %s are of one address family: want one of IPv4 and one of IPv6", out[0], out[1])
	}
	return out, nil
}

// OfFamily returns the network of a family; not valid: there is none.
func OfFamily(networks []netip.Prefix, is4 bool) netip.Prefix {
	for _, p := range networks {
		if p.Addr().Is4() == is4 {
			return p
		}
	}
	return netip.Prefix{}
}
