// Package addressrange has sets of IP addresses that are given out one by one: networks and ranges of both families. Pure.
package addressrange

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Ranges are sets of addresses, sorted and without overlaps. The zero value is empty. Read-only once parsed.
type Ranges []span

// span is a range of addresses of one family, [first, last].
type span struct{ first, last netip.Addr }

// Parse parses networks ("192.168.1.240/28"), ranges ("192.168.1.10-192.168.1.20") and single addresses. A network is without its
// network and broadcast address (IPv4), or its subnet-router anycast address (IPv6, RFC 4291 section 2.6.1), unless it is of one or
// two addresses only. Ranges may overlap; the address counts once.
//
// An error names the text that is wrong and what to write instead. Refused are:
//   - what is no address, and ranges of two families or from a higher to a lower address
//   - networks with host bits
//   - unspecified, loopback, link-local, multicast and reserved (240.0.0.0/4) addresses
func Parse(texts []string) (Ranges, error) {
	var all Ranges
	for _, text := range texts {
		s, err := parse(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(x, y span) int { return x.first.Compare(y.first) })
	var out Ranges
	for _, s := range all {
		if n := len(out); n > 0 && out[n-1].last.Compare(s.first) >= 0 {
			if out[n-1].last.Less(s.last) {
				out[n-1].last = s.last
			}
			continue
		}
		out = append(out, s)
	}
	return out, nil
}

const wanted = "a network such as 192.168.1.240/28, or the first and the last address such as 192.168.1.240-192.168.1.250"

func parse(text string) (span, error) {
	if strings.Contains(text, "/") {
		return parseNetwork(text)
	}
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	from, err := netip.ParseAddr(strings.TrimSpace(first))
	to, err2 := netip.ParseAddr(strings.TrimSpace(last))
	switch {
	case err != nil || err2 != nil || from.Zone() != "" || to.Zone() != "" || from.Is4In6() || to.Is4In6():
		return span{}, fmt.Errorf("%q is not a range of addresses: want %s", text, wanted)
	case from.Is4() != to.Is4():
		return span{}, fmt.Errorf("%q begins and ends with addresses of two families: give two ranges", text)
	case to.Less(from):
		return span{}, fmt.Errorf("%q ends before it begins: want %s-%s", text, to, from)
	}
	return checked(text, span{from, to})
}

func parseNetwork(text string) (span, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		return span{}, fmt.Errorf("%q is not a range of addresses: want %s", text, wanted)
	}
	if p != p.Masked() {
		return span{}, fmt.Errorf("%q has bits set behind the prefix: want %s, or %s for the address alone", text, p.Masked(), p.Addr())
	}
	s := span{p.Addr(), lastOf(p)}
	if p.Addr().BitLen()-p.Bits() > 1 {
		s.first = s.first.Next()
		if p.Addr().Is4() {
			s.last = s.last.Prev()
		}
	}
	return checked(text, s)
}

// lastOf is the highest address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// unusable are the networks whose addresses no load balancer can have.
var unusable = []struct {
	network netip.Prefix
	what    string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"}, {netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"}, {netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"}, {netip.MustParsePrefix("::/127"), "unspecified and loopback"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"}, {netip.MustParsePrefix("ff00::/8"), "multicast"},
}

func checked(text string, s span) (span, error) {
	for _, u := range unusable {
		if s.overlaps(u.network) {
			return span{}, fmt.Errorf("%q has %s addresses (%s): leave them out", text, u.what, u.network)
		}
	}
	return s, nil
}

func (s span) overlaps(p netip.Prefix) bool {
	return s.first.Is4() == p.Addr().Is4() && !s.last.Less(p.Masked().Addr()) && !lastOf(p.Masked()).Less(s.first)
}

// Contains returns whether the address is in one of the ranges.
func (r Ranges) Contains(a netip.Addr) bool {
	return slices.ContainsFunc(r, func(s span) bool { return s.first.Compare(a) <= 0 && a.Compare(s.last) <= 0 })
}

// Overlaps returns whether any address of the network is in one of the ranges.
func (r Ranges) Overlaps(p netip.Prefix) bool {
	return slices.ContainsFunc(r, func(s span) bool { return s.overlaps(p) })
}

// Has4 and Has6 return whether there is any address of the family.
func (r Ranges) Has4() bool {
	return slices.ContainsFunc(r, func(s span) bool { return s.first.Is4() })
}

// Has6 is Has4 for IPv6.
func (r Ranges) Has6() bool {
	return slices.ContainsFunc(r, func(s span) bool { return s.first.Is6() })
}

// NextFree returns the lowest address of a family that used denies; ok is false where there is none. It calls used once for each
// address below.
func (r Ranges) NextFree(is4 bool, used func(netip.Addr) bool) (free netip.Addr, ok bool) {
	for _, s := range r {
		if s.first.Is4() != is4 {
			continue
		}
		for a := s.first; a.IsValid() && !s.last.Less(a); a = a.Next() {
			if !used(a) {
				return a, true
			}
		}
	}
	return netip.Addr{}, false
}

// String is the ranges as Parse reads them: "192.168.1.241-192.168.1.254, fd00::1-fd00::ff".
func (r Ranges) String() string {
	var out []string
	for _, s := range r {
		if s.first == s.last {
			out = append(out, s.first.String())
		} else {
			out = append(out, s.first.String()+"-"+s.last.String())
		}
	}
	return strings.Join(out, ", ")
}
