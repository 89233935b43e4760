package wire

import (
	"encoding/binary"
	"net/netip"
)

// TTL is that of all records of the cluster, in seconds: upstream's default.
const TTL = 5

// optSize is the size of an OPT record without options, in bytes.
const optSize = 11

// Set is the records of one name and type. Their owner is a pointer to the question's name.
type Set struct {
	Type uint16
	// Wire is the records one after the other; Ends are the offsets of their ends in it. One record needs no Ends.
	Wire []byte
	Ends []int
	// Extra is records with addresses of the targets in Wire, whole names and all, and ExtraEnds their ends.
	Extra     []byte
	ExtraEnds []int
}

// maxSet bounds the bytes of a set: no message has more.
const maxSet = 64 << 10

// Len is the number of records.
func (s *Set) Len() int {
	switch {
	case len(s.Wire) == 0:
		return 0
	case s.Ends == nil:
		return 1
	}
	return len(s.Ends)
}

// Add adds a record with data. What does not fit into a message is left out.
func (s *Set) Add(data []byte) {
	if len(s.Wire)+12+len(data) > maxSet {
		return
	}
	if s.Ends == nil && len(s.Wire) > 0 {
		s.Ends = []int{len(s.Wire)}
	}
	s.Wire = append(s.Wire, 0xc0, HeaderSize) // pointer to the question's name
	s.Wire = appendRecord(s.Wire, s.Type, TTL, data)
	if s.Ends != nil {
		s.Ends = append(s.Ends, len(s.Wire))
	}
}

// AddAddress adds an address to a set of TypeA or TypeAAAA.
func (s *Set) AddAddress(a netip.Addr) { s.Add(a.Unmap().AsSlice()) }

// AddExtra adds the address of a target.
func (s *Set) AddExtra(owner string, a netip.Addr) {
	if len(s.Extra)+len(owner)+26 > maxSet {
		return
	}
	s.Extra = append(s.Extra, owner...)
	s.Extra = appendRecord(s.Extra, AddressType(a), TTL, a.Unmap().AsSlice())
	s.ExtraEnds = append(s.ExtraEnds, len(s.Extra))
}

// AddSet adds the records of another set of the same type.
func (s *Set) AddSet(o *Set) {
	for i := range o.Len() {
		s.Add(o.record(i)[12:])
	}
	for i, start := 0, 0; i < len(o.ExtraEnds) && len(s.Extra)+len(o.Extra) <= maxSet; i++ {
		s.Extra = append(s.Extra, o.Extra[start:o.ExtraEnds[i]]...)
		s.ExtraEnds = append(s.ExtraEnds, len(s.Extra))
		start = o.ExtraEnds[i]
	}
}

func (s *Set) record(i int) []byte {
	if s.Ends == nil {
		return s.Wire
	}
	start := 0
	if i > 0 {
		start = s.Ends[i-1]
	}
	return s.Wire[start:s.Ends[i]]
}

// Data is the data of the i-th record.
func (s *Set) Data(i int) []byte { return s.record(i)[12:] }

// AddressType is the type of the records that have the address.
func AddressType(a netip.Addr) uint16 {
	if a.Unmap().Is4() {
		return TypeA
	}
	return TypeAAAA
}

// appendRecord appends what follows the owner.
func appendRecord(b []byte, rrType uint16, ttl uint32, data []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, rrType)
	b = binary.BigEndian.AppendUint16(b, ClassIN)
	b = binary.BigEndian.AppendUint32(b, ttl)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	return append(b, data...)
}

// Reply builds the answer to a query in a buffer. Call Start, then what adds records in the order of the sections, then Finish.
type Reply struct {
	q                            *Query
	b                            []byte
	limit                        int // bytes, without the OPT record
	flags                        uint16
	answers, authorities, extras int
}

// Start begins an answer of at most limit bytes in buf, which is grown where it must be.
func (r *Reply) Start(q *Query, buf []byte, limit int) {
	*r = Reply{q: q, limit: limit, flags: FlagResponse | FlagRecursionAvailable | q.Flags&(opcodeMask|FlagRecursionDesired|FlagCheckingDisabled)}
	if q.EDNS {
		r.limit -= optSize
	}
	r.b = append(buf[:0], q.msg[:2]...)
	r.b = append(r.b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	if q.end > 0 {
		r.b = append(r.b, q.Question()...)
	}
}

// SetFlags sets bits of the header.
func (r *Reply) SetFlags(flags uint16) { r.flags |= flags }

// Answer adds the records of a set to the answer section, beginning with record number turn modulo their count: clients take the first,
// and so share the load. Where they do not fit, the answer is marked as truncated.
func (r *Reply) Answer(s *Set, turn uint32) {
	n := s.Len()
	if n == 0 {
		return
	}
	if n == 1 {
		r.answer(s.Wire)
		return
	}
	first := int(turn % uint32(n))
	for i := range n {
		if !r.answer(s.record((first + i) % n)) {
			return
		}
	}
}

func (r *Reply) answer(record []byte) bool {
	if len(r.b)+len(record) > r.limit {
		r.flags |= FlagTruncated
		return false
	}
	r.b = append(r.b, record...)
	r.answers++
	return true
}

// AnswerAddress adds one address of the question's name.
func (r *Reply) AnswerAddress(a netip.Addr) {
	r.b = append(r.b, 0xc0, HeaderSize)
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		r.b = appendRecord(r.b, TypeA, TTL, b[:])
	} else {
		b := a.As16()
		r.b = appendRecord(r.b, TypeAAAA, TTL, b[:])
	}
	r.answers++
}

// AnswerRaw adds a record, owner and all, without pointers in it, to the answer section.
func (r *Reply) AnswerRaw(record []byte) { r.answer(record) }

// Extra adds the addresses of a set's targets to the additional section, as many as fit.
func (r *Reply) Extra(s *Set) {
	if r.flags&FlagTruncated != 0 {
		return
	}
	start := 0
	for _, end := range s.ExtraEnds {
		if len(r.b)+end-start > r.limit {
			return
		}
		r.b = append(r.b, s.Extra[start:end]...)
		r.extras++
		start = end
	}
}

// Fields of the SOA record, in seconds; the last is how long clients may remember that a name does not exist.
var soaTimes = [4]uint32{7200, 1800, 86400, TTL}

// soa adds the SOA record of the zone that begins with the n-th label of the question's name (RFC 2308 section 3).
func (r *Reply) soa(n int, serial uint32) {
	zone := HeaderSize
	if n < r.q.nLabels {
		zone += int(r.q.labels[n])
	} else {
		zone += r.q.nameSize - 1
	}
	hi, lo := 0xc0|byte(zone>>8), byte(zone)
	var data [48]byte
	d := append(data[:0], 2, 'n', 's', 3, 'd', 'n', 's', hi, lo)
	d = append(d, 10, 'h', 'o', 's', 't', 'm', 'a', 's', 't', 'e', 'r', hi, lo)
	d = binary.BigEndian.AppendUint32(d, serial)
	for _, t := range soaTimes {
		d = binary.BigEndian.AppendUint32(d, t)
	}
	r.b = append(r.b, hi, lo)
	r.b = appendRecord(r.b, TypeSOA, TTL, d)
}

// AnswerSOA adds the zone's SOA record to the answer section; see Authority.
func (r *Reply) AnswerSOA(n int, serial uint32) {
	r.soa(n, serial)
	r.answers++
}

// Authority adds to the authority section the SOA record of the zone that begins with the n-th label of the question's name. It tells
// that the answer is negative (RFC 2308).
func (r *Reply) Authority(n int, serial uint32) {
	r.soa(n, serial)
	r.authorities++
}

// Finish ends the answer with a response code and returns it. The bytes are in the buffer of Start where they fit.
func (r *Reply) Finish(code int) []byte {
	if r.q.EDNS {
		do := byte(0)
		if r.q.DNSSEC {
			do = 0x80
		}
		r.b = append(r.b, 0, 0, TypeOPT, MaxUDP>>8, MaxUDP&0xff, byte(code>>4), 0, do, 0, 0, 0)
		r.extras++
	}
	h := r.b[:HeaderSize]
	binary.BigEndian.PutUint16(h[2:], r.flags|uint16(code&15))
	if r.q.end > 0 {
		h[5] = 1
	}
	binary.BigEndian.PutUint16(h[6:], uint16(r.answers))
	binary.BigEndian.PutUint16(h[8:], uint16(r.authorities))
	binary.BigEndian.PutUint16(h[10:], uint16(r.extras))
	return r.b
}
