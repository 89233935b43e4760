package wire

import "strings"

// anything scans a value of any type, for white space in it as well. depth is how deep it may nest.
type anything struct {
	s     string
	space bool // there is some between tokens
	buf   []byte
}

// value is the value at i.
func (a *anything) value(i, depth int) int {
	s := a.s
	switch c := peek(s, i); {
	case c == '"':
		after, escapes := quoted(s, i)
		if after >= 0 && escapes {
			var ok bool
			if a.buf, ok = unescaped(a.buf[:0], s[i+1:after-1]); !ok {
				return -1
			}
		}
		return after
	case c == '{' || c == '[':
		return a.nested(i, depth)
	case c == '-' || c-'0' <= 9:
		return number(s, i)
	case c == 't' && strings.HasPrefix(s[i:], "true"):
		return i + 4
	case c == 'f' && strings.HasPrefix(s[i:], "false"):
		return i + 5
	}
	return null(s, i)
}

// nested is the object or array at i.
func (a *anything) nested(i, depth int) int {
	if depth == 0 {
		return -1
	}
	object := a.s[i] == '{'
	closing := a.s[i] + 2 // ] and } are two after [ and {
	i = a.token(i + 1)
	if peek(a.s, i) == closing {
		return i + 1
	}
	for {
		if object {
			if peek(a.s, i) != '"' {
				return -1
			}
			if i = a.value(i, 0); i < 0 {
				return -1
			}
			if i = a.token(i); peek(a.s, i) != ':' {
				return -1
			}
			i = a.token(i + 1)
		}
		if i = a.value(i, depth-1); i < 0 {
			return -1
		}
		i = a.token(i)
		switch peek(a.s, i) {
		case ',':
			i = a.token(i + 1)
		case closing:
			return i + 1
		default:
			return -1
		}
	}
}

func (a *anything) token(i int) int {
	after := token(a.s, i)
	a.space = a.space || after > i
	return after
}
