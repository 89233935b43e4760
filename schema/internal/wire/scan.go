package wire

import (
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The scanner's functions take the input and the index of a token's first byte, and return the index after the token;
// -1: there is no such token. Given -1 they return it.

// peek returns the byte at i; 0, which begins no token, at the end.
func peek(s string, i int) byte {
	if uint(i) < uint(len(s)) {
		return s[i]
	}
	return 0
}

// token returns the index of the next byte that is no white space.
func token(s string, i int) int {
	if uint(i) < uint(len(s)) && s[i] > ' ' {
		return i
	}
	return spaces(s, i)
}

func spaces(s string, i int) int {
	for uint(i) < uint(len(s)) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t') {
		i++
	}
	return i
}

// next returns the index of the next element of an object or array; i is after one. done: the closing byte is there.
func next(s string, i int, closing byte) (after int, done bool) {
	i = token(s, i)
	switch peek(s, i) {
	case ',':
		return token(s, i+1), false
	case closing:
		return i + 1, true
	}
	return -1, false
}

// first returns the index of the first element of an object or array that begins at i. done: it is empty.
func first(s string, i int, closing byte) (after int, done bool) {
	i = token(s, i+1)
	if peek(s, i) == closing {
		return i + 1, true
	}
	return i, false
}

// null is the token null.
func null(s string, i int) int {
	if peek(s, i) == 'n' && strings.HasPrefix(s[i:], "null") {
		return i + 4
	}
	return -1
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// word returns the eight bytes at i, the first of them lowest.
func word(s string, i int) uint64 {
	t := s[i : i+8]
	return uint64(t[0]) | uint64(t[1])<<8 | uint64(t[2])<<16 | uint64(t[3])<<24 |
		uint64(t[4])<<32 | uint64(t[5])<<40 | uint64(t[6])<<48 | uint64(t[7])<<56
}

// notPlain has a high bit for each byte of w that is not ASCII, a control character, a quote or a backslash. What lies
// above the lowest such bit may be wrong.
func notPlain(w uint64) uint64 {
	quote, slash := w^ones*'"', w^ones*'\\'
	return (w | (w-ones*' ')&^w | (quote-ones)&^quote | (slash-ones)&^slash) & highs
}

// plainRun returns the index of the first byte from i on that is not plain, as notPlain has it.
func plainRun(s string, i int) int {
	for i <= len(s)-8 {
		if m := notPlain(word(s, i)); m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
		i += 8
	}
	for i < len(s) && !oddByte[s[i]] {
		i++
	}
	return i
}

var oddByte = func() (is [256]bool) {
	for c := range is {
		is[c] = notPlain(uint64(c)|0x2020202020202000) != 0
	}
	return is
}()

// quoted finds the end of the string that begins with the quote at i. after is the index after its closing quote;
// escapes: it has some, and what they stand for is not checked.
func quoted(s string, i int) (after int, escapes bool) {
	start := i + 1
	if i = plainRun(s, start); peek(s, i) == '"' {
		return i + 1, false
	}
	return quotedWithEscapes(s, start, i)
}

// quotedWithEscapes is quoted for a string that has a byte at i that is not plain.
func quotedWithEscapes(s string, start, i int) (after int, escapes bool) {
	foreign := false
	for ; i < len(s); i = plainRun(s, i) {
		switch c := s[i]; {
		case c == '"':
			if foreign && !utf8.ValidString(s[start:i]) {
				return -1, false
			}
			return i + 1, escapes
		case c == '\\':
			escapes = true
			i += 2
		case c >= utf8.RuneSelf:
			foreign = true
			for i < len(s) && s[i] >= utf8.RuneSelf {
				i++
			}
		default:
			return -1, false
		}
	}
	return -1, false
}

// unescaped appends what text stands for, which is the inside of a string that quoted has found. false: an escape is wrong,
// or half a surrogate pair.
func unescaped(b []byte, text string) ([]byte, bool) {
	for {
		i := strings.IndexByte(text, '\\')
		if i < 0 {
			return append(b, text...), true
		}
		b = append(b, text[:i]...)
		c := text[i+1]
		text = text[i+2:]
		if c != 'u' {
			at := strings.IndexByte(`"\/bfnrt`, c)
			if at < 0 {
				return b, false
			}
			b = append(b, "\"\\/\b\f\n\r\t"[at])
			continue
		}
		r, rest, ok := codePoint(text)
		if !ok {
			return b, false
		}
		b, text = utf8.AppendRune(b, r), rest
	}
}

// codePoint reads the digits of a \u escape, and the escape after it where both are one surrogate pair.
func codePoint(text string) (r rune, rest string, ok bool) {
	r, ok = hex4(text)
	if !ok {
		return 0, "", false
	}
	rest = text[4:]
	if !utf16.IsSurrogate(r) {
		return r, rest, true
	}
	low, ok := rune(0), strings.HasPrefix(rest, `\u`)
	if ok {
		low, ok = hex4(rest[2:])
	}
	if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
		return 0, "", false
	}
	return r, rest[6:], true
}

func hex4(text string) (r rune, ok bool) {
	if len(text) < 4 {
		return 0, false
	}
	for i := range 4 {
		c := text[i]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|' ' && c|' ' <= 'f':
			c = c | ' ' - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// integer is a number without fraction or exponent. The caller refuses those: it finds them at after, in the place of a separator.
func integer(s string, i int) (n int64, after int) {
	start := i
	if peek(s, i) == '-' {
		i++
	}
	digits := i
	for ; peek(s, i)-'0' <= 9; i++ {
		n = n*10 + int64(s[i]-'0')
	}
	switch {
	case i == digits || s[digits] == '0' && i > digits+1:
		return 0, -1
	case i-digits > 18: // n may have overflowed
		n, err := strconv.ParseInt(s[start:i], 10, 64)
		if err != nil {
			return 0, -1
		}
		return n, i
	case digits > start:
		n = -n
	}
	return n, i
}

// number is any number.
func number(s string, i int) int {
	if peek(s, i) == '-' {
		i++
	}
	after := digits(s, i)
	if after < 0 || s[i] == '0' && after > i+1 {
		return -1
	}
	if peek(s, after) == '.' {
		if after = digits(s, after+1); after < 0 {
			return -1
		}
	}
	if c := peek(s, after); c == 'e' || c == 'E' {
		after++
		if c := peek(s, after); c == '+' || c == '-' {
			after++
		}
		after = digits(s, after)
	}
	return after
}

// digits is one digit or more.
func digits(s string, i int) int {
	start := i
	for peek(s, i)-'0' <= 9 {
		i++
	}
	if i == start {
		return -1
	}
	return i
}
