// Package wire reads DNS queries and builds answers to them (RFC 1035, RFC 6891) without allocating. It is pure.
//
// Names are as in a message: labels, each behind its length, then the root's zero; lower-cased but for what is copied from the query.
package wire

import "encoding/binary"

// Types of records, https://www.iana.org/assignments/dns-parameters.
const (
	TypeA     = 1
	TypeNS    = 2
	TypeCNAME = 5
	TypeSOA   = 6
	TypePTR   = 12
	TypeHINFO = 13
	TypeTXT   = 16
	TypeAAAA  = 28
	TypeSRV   = 33
	TypeOPT   = 41
	TypeIXFR  = 251
	TypeAXFR  = 252
	TypeANY   = 255

	ClassIN = 1
)

// Response codes.
const (
	NoError        = 0
	FormatError    = 1
	ServerFailure  = 2
	NameError      = 3 // NXDOMAIN
	NotImplemented = 4
	Refused        = 5
	BadVersion     = 16 // of EDNS
)

// Bits of the header's flags.
const (
	FlagResponse           = 1 << 15
	FlagAuthoritative      = 1 << 10
	FlagTruncated          = 1 << 9
	FlagRecursionDesired   = 1 << 8
	FlagRecursionAvailable = 1 << 7
	FlagAuthenticData      = 1 << 5
	FlagCheckingDisabled   = 1 << 4
	opcodeMask             = 15 << 11
)

// HeaderSize is in bytes.
const HeaderSize = 12

// Sizes of messages over UDP, in bytes.
const (
	minUDP = 512  // what every client takes, RFC 1035
	MaxUDP = 1232 // the most that is sent: it is never fragmented, https://dnsflagday.net/2020
)

// Query is a query as parsed. The zero value is ready for Parse, which may be called again for the next.
type Query struct {
	Type, Class uint16
	Flags       uint16
	// EDNS tells that the query has an OPT record; DNSSEC that this asks for signatures (DO); version and size are from it.
	EDNS, DNSSEC bool
	version      uint8
	size         uint16

	msg      []byte // as received
	end      int    // offset after the question; 0: it could not be read
	nLabels  int
	labels   [maxName / 2]uint8 // offsets of the labels in name
	name     [maxName + 3]byte  // the question's name, lower-cased; then room for Key
	nameSize int
}

// Parse reads a query. answer false: it is no query, and nothing is sent back. A code other than NoError is the answer's. msg is kept, and
// must not change while the query is used.
func (q *Query) Parse(msg []byte) (code int, answer bool) {
	q.msg, q.end, q.nLabels, q.nameSize = msg, 0, 0, 0
	q.EDNS, q.DNSSEC, q.version, q.size = false, false, 0, 0
	if len(msg) < HeaderSize {
		return 0, false
	}
	q.Flags = binary.BigEndian.Uint16(msg[2:])
	switch {
	case q.Flags&FlagResponse != 0:
		return 0, false // an answer to an answer could go on for ever
	case q.Flags&opcodeMask != 0:
		return NotImplemented, true
	}
	questions, answers := binary.BigEndian.Uint16(msg[4:]), binary.BigEndian.Uint16(msg[6:])
	authorities, extras := binary.BigEndian.Uint16(msg[8:]), binary.BigEndian.Uint16(msg[10:])
	if questions != 1 || answers != 0 || authorities != 0 || !q.readQuestion() || !q.readExtras(int(extras)) {
		return FormatError, true
	}
	if q.version != 0 {
		return BadVersion, true
	}
	return NoError, true
}

func (q *Query) readQuestion() bool {
	off := HeaderSize
	for {
		if off >= len(q.msg) {
			return false
		}
		n := int(q.msg[off])
		if n > maxLabel || off+1+n > len(q.msg) || q.nameSize+1+n > maxName {
			return false // also a pointer: there is no name before it that it could point to
		}
		if n > 0 {
			q.labels[q.nLabels] = uint8(q.nameSize)
			q.nLabels++
		}
		q.name[q.nameSize] = byte(n)
		for i, c := range q.msg[off+1 : off+1+n] {
			q.name[q.nameSize+1+i] = lower(c)
		}
		off += 1 + n
		q.nameSize += 1 + n
		if n == 0 {
			break
		}
	}
	if off+4 > len(q.msg) {
		return false
	}
	q.Type, q.Class = binary.BigEndian.Uint16(q.msg[off:]), binary.BigEndian.Uint16(q.msg[off+2:])
	q.end = off + 4
	return true
}

// readExtras looks for the OPT record, of which there may be one (RFC 6891 section 6.1.1).
func (q *Query) readExtras(n int) bool {
	off := q.end
	for range n {
		r, ok := ReadRecord(q.msg, off)
		if !ok {
			return false
		}
		if r.Type == TypeOPT {
			if q.EDNS || q.msg[off] != 0 {
				return false
			}
			q.EDNS, q.size, q.version = true, r.Class, q.msg[r.TTL+1]
			q.DNSSEC = q.msg[r.TTL+2]&0x80 != 0
		}
		off = r.Next
	}
	return true
}

// Message is the query as received.
func (q *Query) Message() []byte { return q.msg }

// Question is the question as received: name, type and class.
func (q *Query) Question() []byte { return q.msg[HeaderSize:q.end] }

// Name is the question's name, lower-cased. It is valid until the next Parse.
func (q *Query) Name() []byte { return q.name[:q.nameSize] }

// Labels is the number of labels of Name, without the root.
func (q *Query) Labels() int { return q.nLabels }

// Label is the n-th label of Name.
func (q *Query) Label(n int) []byte {
	at := int(q.labels[n])
	return q.name[at+1 : at+1+int(q.name[at])]
}

// From is Name from its n-th label on.
func (q *Query) From(n int) []byte {
	if n == q.nLabels {
		return q.name[q.nameSize-1 : q.nameSize]
	}
	return q.name[q.labels[n]:q.nameSize]
}

// Below returns how many labels Name has before those of parent, a name; below is false where it is not parent or below it.
func (q *Query) Below(parent string, labels int) (before int, below bool) {
	before = q.nLabels - labels
	return before, before >= 0 && string(q.From(before)) == parent
}

// Key is Name with all that an upstream's answer depends on: type and bits. It is valid until the next Parse. The class must be IN.
func (q *Query) Key() []byte {
	b := q.name[:q.nameSize]
	bits := byte(q.Flags & FlagCheckingDisabled)
	if q.DNSSEC {
		bits |= 1
	}
	if q.Flags&FlagRecursionDesired != 0 {
		bits |= 2
	}
	if q.Flags&FlagAuthenticData != 0 {
		bits |= 4
	}
	return append(b, byte(q.Type>>8), byte(q.Type), bits)
}

// Limit is the most bytes that an answer over UDP may have.
func (q *Query) Limit() int { return min(max(int(q.size), minUDP), MaxUDP) }
