package encode

import (
	"bytes"
	"encoding/json"
)

// maxReadable is how many times larger than the compact form a form for people may be. It is two to three times for what people
// read; the white space of nested values grows with the square of their depth.
const maxReadable = 8

// indentable tells whether JSON stays in proportion when every value is on a line of its own, two columns further for each
// level that it is in.
func indentable(body []byte) bool {
	size, level, text := len(body), 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			level++
			size += 1 + 2*level
		case c == ',':
			size += 1 + 2*level
		case c == '}' || c == ']':
			level--
			size += 1 + 2*level
		}
	}
	return size <= maxReadable*len(body)+1<<10
}

// indent writes JSON for people; what would grow out of proportion stays compact.
func indent(body []byte) ([]byte, error) {
	if !indentable(body) {
		return body, nil
	}
	var b bytes.Buffer
	if err := json.Indent(&b, body, "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}
