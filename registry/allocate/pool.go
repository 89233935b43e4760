package allocate

import (
	"math/rand/v2"
	"net/netip"
)

// pool is a range of numbers of which some are given out. The lower band [0, band) is for Services that name a
// number: it is used for random allocation only when all other numbers are used, as in Kubernetes.
type pool struct {
	size, band int
	reserved   int // never allocated at random; -1: none
}

// bandOf is the lower band of a range: a step-th of it, within [16, most]; a tiny range has none.
func bandOf(size, step, most int) int {
	if size <= 16 {
		return 0
	}
	return min(max(16, size/step), most)
}

// pick chooses a number that is not taken; false: there is none.
func (p pool) pick(taken map[int]bool) (int, bool) {
	if n, ok := p.scan(p.band, p.size, taken); ok {
		return n, true
	}
	return p.scan(0, p.band, taken)
}

// scan looks for a free number in [lo, hi) from a random place on.
func (p pool) scan(lo, hi int, taken map[int]bool) (int, bool) {
	if hi <= lo {
		return 0, false
	}
	start := rand.IntN(hi - lo)
	for i := range hi - lo {
		if n := lo + (start+i)%(hi-lo); !taken[n] && n != p.reserved {
			return n, true
		}
	}
	return 0, false
}

// addresses is the pool of a range of IPv4 addresses: number 0 is the first usable address, which belongs to the
// service default/kubernetes. The network's own and the broadcast address are left out.
func addresses(r netip.Prefix) pool {
	size := 0
	if bits := 32 - r.Bits(); r.Addr().Is4() && bits > 1 {
		size = 1<<min(bits, 24) - 2 // at most 16 million addresses of a range are used
	}
	return pool{size: size, band: bandOf(size, 16, 256), reserved: 0}
}

// addressAt is number n of a range.
func addressAt(r netip.Prefix, n int) netip.Addr {
	a := r.Masked().Addr().As4()
	v := uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
	v += uint32(n) + 1
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// addressNumber is the number of an address in a range; false: it is none that can be given out.
func addressNumber(r netip.Prefix, a netip.Addr) (int, bool) {
	if !a.Is4() || !r.Contains(a) {
		return 0, false
	}
	b, f := a.As4(), r.Masked().Addr().As4()
	n := 0
	for i := range b {
		n = n<<8 + int(b[i]) - int(f[i])
	}
	n--
	return n, n >= 0 && n < addresses(r).size
}

// ports is the pool of node ports [lo, hi].
func ports(r [2]int) pool {
	size := r[1] - r[0] + 1
	return pool{size: size, band: bandOf(size, 32, 128), reserved: -1}
}
