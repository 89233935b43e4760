package patch

import (
	"encoding/json"
	"unicode/utf8"
)

// scanner reads a JSON text that is known to be valid.
type scanner struct {
	data []byte
	at   int
}

// peek skips white space and returns the byte after it, which stays unread; 0 at the end.
func (s *scanner) peek() byte {
	for ; s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// readText reads the next value and returns its text.
func (s *scanner) readText() []byte {
	s.peek()
	text := s.data[s.at : s.at+valueEnd(s.data[s.at:])]
	s.at += len(text)
	return text
}

// valueEnd is the length of the valid JSON value that data starts with.
func valueEnd(data []byte) int {
	depth, text := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			if text = !text; !text && depth == 0 {
				return i + 1
			}
		case text:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth == 0 {
				return i // of a number or word
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case depth == 0 && (c == ',' || c == ':' || c == ' ' || c == '\t' || c == '\r' || c == '\n'):
			return i
		}
	}
	return len(data)
}

// plainName tells whether a quoted name is its text between the quotes.
func plainName(quoted []byte) bool {
	for _, c := range quoted {
		if c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// unquote is the text of a JSON string.
func unquote(quoted []byte) (text string) {
	if plainName(quoted) {
		return string(quoted[1 : len(quoted)-1])
	}
	_ = json.Unmarshal(quoted, &text) // it is valid
	return text
}
