package allocate

import (
	"net/netip"
	"slices"
	"testing"
)

// TestPool checks that numbers come from the upper band first, then from the lower one, each once, and that the reserved number is never
// given out.
func TestPool(t *testing.T) {
	p := pool{size: 64, band: 16, reserved: 0}
	used := map[int]bool{}
	for i := range 63 {
		n, ok := p.pick(used)
		switch {
		case !ok:
			t.Fatalf("used up after %d numbers", i)
		case used[n] || n == 0 || n < 0 || n >= 64:
			t.Errorf("number %d was given out", n)
		case i < 48 && n < 16:
			t.Errorf("number %d of the lower band was given out as the %d.", n, i)
		}
		used[n] = true
	}
	if n, ok := p.pick(used); ok {
		t.Errorf("number %d of a pool that is used up", n)
	}
}

// TestAddressNumbers checks that the network address, and the broadcast address of IPv4, have no number.
func TestAddressNumbers(t *testing.T) {
	for _, tt := range []struct {
		network, outside string
		size             int
		unusable         []string
	}{
		{"10.96.0.0/28", "10.96.0.16", 14, []string{"10.96.0.0", "10.96.0.15"}},
		{"10.96.0.0/31", "fd00::1", 0, []string{"10.96.0.0", "10.96.0.1"}},
		{"fd00:96::/124", "fd00:96::10", 15, []string{"fd00:96::"}},
		{"fd00:96::fff0/124", "10.96.0.1", 15, []string{"fd00:96::fff0"}},
	} {
		r := netip.MustParsePrefix(tt.network)
		p := addresses(r, false)
		if p.size != tt.size {
			t.Errorf("%s has %d addresses, want %d", r, p.size, tt.size)
		}
		for a := r.Addr(); r.Contains(a); a = a.Next() {
			n, ok := p.number(addressKey(a.String()))
			bad := slices.Contains(tt.unusable, a.String())
			if ok == bad || ok && p.key(n) != addressKey(a.String()) || isUsable(r, a) == bad {
				t.Errorf("%s has number %d, %v, usable %v", a, n, ok, isUsable(r, a))
			}
		}
		if n, ok := p.number(addressKey(tt.outside)); ok {
			t.Errorf("%s has number %d of %s", tt.outside, n, r)
		}
	}
}

// TestLargeRanges checks that ranges with more addresses than an int has numbers are drawn from.
func TestLargeRanges(t *testing.T) {
	for _, network := range []string{"fd00::/8", "fd00:96::/64", "fd00:96::/108", "10.0.0.0/8", "::/0"} {
		r := netip.MustParsePrefix(network)
		p := addresses(r, true)
		for range 100 {
			n, ok := p.pick(nil)
			if back, known := p.number(p.key(n)); !ok || n < p.band || !known || back != n || !isUsable(r, addressAt(r, n)) {
				t.Errorf("%s: drew %s, number %d, %d when read", r, p.key(n), n, back)
			}
		}
	}
	if _, ok := addresses(netip.MustParsePrefix("fd00::/8"), false).number(addressKey("fd00:1::1")); ok {
		t.Error("an address above the numbers has one")
	}
}
