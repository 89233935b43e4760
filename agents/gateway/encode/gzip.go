package encode

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"net/http"
	"strconv"

	"gantry/registry"
)

// A list of everything is sent deflated without being deflated: the registry has deflated its items' text once, in blocks. What
// is between and around them is short and is sent as stored blocks; the checksum of the whole is computed from the parts'.

// sendBlocks writes head, the items of a list and listTail as one gzip stream.
func sendBlocks(w http.ResponseWriter, head []byte, l registry.List) error {
	blocks := l.Blocks()
	// Magic, deflate, no flags, no time, fastest, unknown system: RFC 1952.
	start := append(make([]byte, 0, len(head)+64), 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255)
	start = appendStored(start, head, false)
	comma := appendStored(nil, []byte{','}, false)
	end := appendStored(nil, []byte(listTail), true)
	sum := checksum{crc32.ChecksumIEEE(head), len(head)}
	size := len(start) + len(end) + 8
	for i, b := range blocks {
		if i > 0 {
			sum = sum.then(crc32.ChecksumIEEE([]byte{','}), 1)
			size += len(comma)
		}
		sum = sum.then(b.CRC, b.Size)
		size += len(b.Deflated)
	}
	sum = sum.then(crc32.ChecksumIEEE([]byte(listTail)), len(listTail))
	end = binary.LittleEndian.AppendUint32(end, sum.crc)
	end = binary.LittleEndian.AppendUint32(end, uint32(sum.size))

	h := w.Header()
	h.Set("Content-Encoding", "gzip")
	h.Add("Vary", "Accept-Encoding")
	h.Set("Content-Length", strconv.Itoa(size))
	w.WriteHeader(http.StatusOK)
	buf := chunkTo(w)
	defer buf.free()
	_, _ = buf.Write(start)
	for i, b := range blocks {
		if i > 0 {
			_, _ = buf.Write(comma)
		}
		_, _ = buf.Write(b.Deflated)
	}
	_, _ = buf.Write(end)
	return buf.Flush() // the first error sticks
}

// appendStored appends text as stored blocks of deflate, which begin and end on whole bytes: a header, the length, its
// complement, the text.
func appendStored(b, text []byte, last bool) []byte {
	for {
		n := min(len(text), 1<<16-1)
		final := byte(0)
		if last && n == len(text) {
			final = 1
		}
		b = append(b, final)
		b = binary.LittleEndian.AppendUint16(b, uint16(n))
		b = binary.LittleEndian.AppendUint16(b, ^uint16(n))
		b = append(b, text[:n]...)
		if text = text[n:]; len(text) == 0 {
			return b
		}
	}
}

// checksum is the IEEE CRC-32 of a text of some size.
type checksum struct {
	crc  uint32
	size int
}

// then is the checksum of the text followed by another, whose checksum is known: crc(AB) is crc(A) moved on by B's length,
// that is multiplied by x^(8 len(B)) modulo the polynomial, plus crc(B).
func (c checksum) then(crc uint32, size int) checksum {
	return checksum{multiply(shift(size), c.crc) ^ crc, c.size + size}
}

// multiply is the product of two polynomials over GF(2) modulo CRC-32's; the highest bit is the constant term.
func multiply(a, b uint32) (product uint32) {
	for ; a != 0; a <<= 1 {
		if a&(1<<31) != 0 {
			product ^= b
		}
		b = b>>1 ^ crc32.IEEE&-(b&1)
	}
	return product
}

// powers are x^(8*2^n) modulo CRC-32's polynomial.
var powers = func() (p [64]uint32) {
	p[0] = 1 << (31 - 8)
	for n := 1; n < len(p); n++ {
		p[n] = multiply(p[n-1], p[n-1])
	}
	return p
}()

// shift is x^(8 n) modulo CRC-32's polynomial.
func shift(n int) uint32 {
	out := uint32(1 << 31)
	for left := uint(n); left != 0; left &= left - 1 {
		out = multiply(powers[bits.TrailingZeros(left)], out)
	}
	return out
}
