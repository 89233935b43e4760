package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

const (
	maxName  = 255 // bytes of a name, RFC 1035 section 2.3.4
	maxLabel = 63
)

// Name returns a domain name as in a message: lower-cased labels, each behind its length, and the root's zero. "" and "." are the root. A
// trailing dot may be given. Escapes are not known: a backslash is a byte like others.
func Name(text string) (string, error) {
	text = strings.TrimSuffix(text, ".")
	if text == "" {
		return "\x00", nil
	}
	return Join(strings.Split(text, "."), "\x00")
}

// Join returns the name of labels below parent, which is a name as in a message. A label may have any bytes.
func Join(labels []string, parent string) (string, error) {
	var b strings.Builder
	for _, l := range labels {
		if len(l) == 0 || len(l) > maxLabel {
			return "", fmt.Errorf("label %.80q has %d bytes: want 1 to %d", l, len(l), maxLabel)
		}
		b.WriteByte(byte(len(l)))
		for i := range len(l) {
			b.WriteByte(lower(l[i]))
		}
	}
	b.WriteString(parent)
	if b.Len() > maxName {
		return "", fmt.Errorf("name %.80q has %d bytes: want at most %d", strings.Join(labels, "."), b.Len(), maxName)
	}
	return b.String(), nil
}

// Text returns a name of a message with dots, ending in one.
func Text(name string) string {
	if name == "\x00" {
		return "."
	}
	var b strings.Builder
	for len(name) > 0 && name[0] != 0 && int(name[0]) < len(name) {
		b.WriteString(name[1 : 1+name[0]])
		b.WriteByte('.')
		name = name[1+name[0]:]
	}
	return b.String()
}

// Reverse returns the name below in-addr.arpa or ip6.arpa whose PTR records name an address.
func Reverse(a netip.Addr) string {
	var labels []string
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		for i := len(b) - 1; i >= 0; i-- {
			labels = append(labels, fmt.Sprint(b[i]))
		}
		labels = append(labels, "in-addr", "arpa")
	} else {
		b := a.As16()
		for i := len(b) - 1; i >= 0; i-- {
			labels = append(labels, fmt.Sprintf("%x", b[i]&15), fmt.Sprintf("%x", b[i]>>4))
		}
		labels = append(labels, "ip6", "arpa")
	}
	name, _ := Join(labels, "\x00") // always valid
	return name
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// SkipName returns the offset after the name at off, which may end in a pointer; false: the message ends before.
func SkipName(msg []byte, off int) (int, bool) {
	for off < len(msg) {
		switch n := int(msg[off]); {
		case n == 0:
			return off + 1, true
		case n >= 0xc0:
			return off + 2, off+2 <= len(msg)
		case n > maxLabel:
			return 0, false
		default:
			off += 1 + n
		}
	}
	return 0, false
}

// Record is where the parts of a record are in a message.
type Record struct {
	Type, Class     uint16
	TTL, Data, Next int // offsets of its TTL, its data and of what follows
}

// ReadRecord reads the record at off; false: the message ends before.
func ReadRecord(msg []byte, off int) (r Record, ok bool) {
	off, ok = SkipName(msg, off)
	if !ok || off+10 > len(msg) {
		return r, false
	}
	r.Type, r.Class = binary.BigEndian.Uint16(msg[off:]), binary.BigEndian.Uint16(msg[off+2:])
	r.TTL, r.Data = off+4, off+10
	r.Next = r.Data + int(binary.BigEndian.Uint16(msg[off+8:]))
	return r, r.Next <= len(msg)
}
