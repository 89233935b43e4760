package wire

import (
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// text appends a string as encoding/json writes it without HTML escapes.
func (e *encoder) text(b []byte, s string) []byte {
	b = append(b, '"')
	i := plainRun(s, 0)
	if i < len(s) {
		b, s = e.escaped(b, s, i)
	}
	b = append(b, s...)
	return append(b, '"')
}

// escaped appends s, in which the byte at i is not plain, up to and with the last byte that is not; rest comes after that.
func (e *encoder) escaped(b []byte, s string, i int) (out []byte, rest string) {
	done := 0 // s before it is in b
	for ; i < len(s); i = plainRun(s, i) {
		c := s[i]
		if c < utf8.RuneSelf {
			b = append(b, s[done:i]...)
			b = appendEscape(b, c)
			i++
			done = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			e.inexact = true
			b = append(b, s[done:i]...)
			b = append(b, `\ufffd`...)
			done = i + size
		case r == '\u2028' || r == '\u2029':
			b = append(b, s[done:i]...)
			b = append(b, `\u202`...)
			b = append(b, hexDigits[r&15])
			done = i + size
		}
		i += size
	}
	return b, s[done:]
}

// appendEscape appends a control character, quote or backslash.
func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, '\\', 'b')
	case '\f':
		return append(b, '\\', 'f')
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
