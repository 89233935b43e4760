package allocate

import (
	"net/netip"
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

// TestAddressNumbers checks that the network address and the broadcast address have no number.
func TestAddressNumbers(t *testing.T) {
	r := netip.MustParsePrefix("10.96.0.0/28")
	for a := r.Addr(); r.Contains(a); a = a.Next() {
		n, ok := addressNumber(r, a)
		edge := a == r.Addr() || a == netip.MustParseAddr("10.96.0.15")
		if ok == edge || ok && addressAt(r, n) != a {
			t.Errorf("%s has number %d, %v", a, n, ok)
		}
	}
	if n, ok := addressNumber(r, netip.MustParseAddr("10.96.0.16")); ok {
		t.Errorf("an address outside has number %d", n)
	}
	if n, ok := addressNumber(r, netip.MustParseAddr("fd00::1")); ok {
		t.Errorf("an IPv6 address has number %d", n)
	}
}
