package wire

import "encoding/binary"

// Message is another server's answer, as kept: what follows the question. Its pointers are right behind a question of the same length.
type Message struct {
	Code  int
	Flags uint16 // FlagAuthenticData, or none
	// TTL is the lowest of the records, in seconds; that of a negative answer is by its SOA record. 0: it is not kept.
	TTL uint32

	body                         []byte
	ends                         []int // of the records of the answer section, in body
	ttls                         []int // offsets of TTLs in body
	answers, authorities, extras int
}

// ReadMessage reads an answer without OPT record to a query whose question has size bytes; false: it is malformed. msg is kept.
func ReadMessage(msg []byte, size int) (*Message, bool) {
	start := HeaderSize + size
	if len(msg) < start {
		return nil, false
	}
	flags := binary.BigEndian.Uint16(msg[2:])
	m := &Message{Code: int(flags & 15), Flags: flags & FlagAuthenticData, body: msg[start:]}
	m.answers, m.authorities, m.extras = int(binary.BigEndian.Uint16(msg[6:])), int(binary.BigEndian.Uint16(msg[8:])), int(binary.BigEndian.Uint16(msg[10:]))
	off, lowest, negative := start, uint32(1<<31), uint32(0)
	for i := range m.answers + m.authorities + m.extras {
		r, ok := ReadRecord(msg, off)
		if !ok {
			return nil, false
		}
		ttl := binary.BigEndian.Uint32(msg[r.TTL:])
		lowest = min(lowest, ttl)
		m.ttls = append(m.ttls, r.TTL-start)
		if i < m.answers {
			m.ends = append(m.ends, r.Next-start)
		} else if r.Type == TypeSOA && r.Next-r.Data >= 20 {
			negative = min(ttl, binary.BigEndian.Uint32(msg[r.Next-4:])) // RFC 2308 section 5
		}
		off = r.Next
	}
	switch {
	case m.Code == NoError && m.answers > 0:
		m.TTL = lowest
	case m.Code == NoError || m.Code == NameError:
		m.TTL = negative
	}
	return m, true
}

// Positive tells that there are records that were asked for.
func (m *Message) Positive() bool { return m.Code == NoError && m.answers > 0 }

// Message makes another server's answer, received age seconds ago, the answer. Where it does not fit, only records of the answer section
// are added, and it is marked as truncated.
func (r *Reply) Message(m *Message, age uint32) {
	start := len(r.b)
	end, whole := len(m.body), start+len(m.body) <= r.limit
	r.answers, r.authorities, r.extras = m.answers, m.authorities, m.extras
	if !whole {
		end, r.answers, r.authorities, r.extras = 0, 0, 0, 0
		for _, e := range m.ends {
			if start+e > r.limit {
				break
			}
			end = e
			r.answers++
		}
		r.flags |= FlagTruncated
	}
	r.flags |= m.Flags
	r.b = append(r.b, m.body[:end]...)
	for _, at := range m.ttls {
		if at >= end {
			break
		}
		field := r.b[start+at:]
		ttl := binary.BigEndian.Uint32(field)
		binary.BigEndian.PutUint32(field, ttl-min(ttl, age))
	}
}

// NewQuery returns a query for a name of a message.
func NewQuery(name []byte, rrType uint16) []byte {
	msg := append(make([]byte, 0, HeaderSize+len(name)+4), 0, 0, FlagRecursionDesired>>8, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	msg = append(msg, name...)
	msg = binary.BigEndian.AppendUint16(msg, rrType)
	return binary.BigEndian.AppendUint16(msg, ClassIN)
}
