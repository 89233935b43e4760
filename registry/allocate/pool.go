package allocate

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"strings"
)

// pool is a range of numbers of which some are given out. The lower band [0, band) is for Services that name a
// number: it is used for random allocation only when all other numbers are used, as in Kubernetes.
type pool struct {
	name       string // of this pool, different for each
	prefix     string // of the keys of the claims
	size, band int
	reserved   int // never allocated at random; -1: none
	// key is that of a number's claim, number the reverse; false: it is another pool's.
	key    func(n int) string
	number func(key string) (int, bool)
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

// addresses is the pool of a range of addresses: number 0 is the first usable one. The network's own address is left out, and the broadcast
// address of IPv4. The first address of the primary range belongs to the Service default/kubernetes.
func addresses(r netip.Prefix, primary bool) pool {
	p := pool{
		name: r.String(), prefix: addressPrefix, size: 1<<min(r.Addr().BitLen()-r.Bits(), 62) - 1, reserved: -1,
		key: func(n int) string { return addressKey(addressAt(r, n).String()) },
	}
	if r.Addr().Is4() {
		p.size = max(0, p.size-1)
	}
	p.band = bandOf(p.size, 16, 256)
	if primary {
		p.reserved = 0
	}
	p.number = func(key string) (int, bool) {
		a, err := netip.ParseAddr(strings.TrimPrefix(key, addressPrefix))
		if err != nil {
			return 0, false
		}
		return addressNumber(r, a, p.size)
	}
	return p
}

// addressAt is number n of a range.
func addressAt(r netip.Prefix, n int) netip.Addr {
	b := r.Masked().Addr().As16()
	binary.BigEndian.PutUint64(b[8:], binary.BigEndian.Uint64(b[8:])+uint64(n)+1)
	return netip.AddrFrom16(b).Unmap()
}

// addressNumber is the number of an address in a range of size numbers; false: it has none.
func addressNumber(r netip.Prefix, a netip.Addr, size int) (int, bool) {
	if !r.Contains(a) {
		return 0, false
	}
	b, f := a.As16(), r.Masked().Addr().As16()
	if [8]byte(b[:8]) != [8]byte(f[:8]) { // a range larger than the numbers
		return 0, false
	}
	n := binary.BigEndian.Uint64(b[8:]) - binary.BigEndian.Uint64(f[8:])
	return int(n) - 1, n > 0 && n <= uint64(size)
}

// isUsable tells whether an address of a range can be given out: it is not the network's own, nor the broadcast address of IPv4.
func isUsable(r netip.Prefix, a netip.Addr) bool {
	return r.Contains(a) && a != r.Masked().Addr() && (a.Is6() || r.Contains(a.Next()))
}

// ports is the pool of node ports [lo, hi].
func ports(r [2]int) pool {
	size := r[1] - r[0] + 1
	return pool{
		name: nodePortPrefix, prefix: nodePortPrefix, size: size, band: bandOf(size, 32, 128), reserved: -1,
		key: func(n int) string { return nodePortKey(int32(r[0] + n)) },
		number: func(key string) (int, bool) {
			p, ok := portOfKey(key)
			return int(p) - r[0], ok
		},
	}
}
