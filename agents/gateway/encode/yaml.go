package encode

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// toYAML writes JSON as YAML in blocks, members in the order of their names. What would grow out of proportion stays JSON, which
// is YAML too. sigs.k8s.io/yaml needs 250 bytes of memory for each byte, this one the text alone.
func toYAML(ctx context.Context, body []byte) ([]byte, error) {
	if !indentable(body) {
		return body, nil
	}
	e := yamlWriter{stop: ctx.Err, in: json.NewDecoder(bytes.NewReader(body)), out: make([]byte, 0, len(body)+len(body)/4)}
	e.in.UseNumber()
	if err := e.value(0); err != nil {
		return nil, err
	}
	return append(e.out, '\n'), nil
}

// yamlWriter writes the values of a JSON text as YAML.
type yamlWriter struct {
	stop func() error // why, or nil
	in   *json.Decoder
	out  []byte
}

// value writes the next value; column is where the lines after its first begin.
func (e *yamlWriter) value(column int) error {
	token, err := e.in.Token()
	if err != nil {
		return err
	}
	switch v := token.(type) {
	case json.Delim:
		if v == '{' {
			return e.object(column)
		}
		return e.list(column)
	case string:
		e.text(v, column)
	case json.Number:
		e.out = append(e.out, v...)
	case bool:
		if v {
			e.out = append(e.out, "true"...)
		} else {
			e.out = append(e.out, "false"...)
		}
	default:
		e.out = append(e.out, "null"...)
	}
	return nil
}

func (e *yamlWriter) line(column int) {
	e.out = append(e.out, '\n')
	for range column {
		e.out = append(e.out, ' ')
	}
}

// span is where a member has been written.
type span struct {
	name       string
	start, end int
}

func (e *yamlWriter) object(column int) error {
	var members []span
	for e.in.More() {
		token, err := e.in.Token()
		if err != nil {
			return err
		}
		name, ok := token.(string)
		if !ok {
			return io.ErrUnexpectedEOF // the decoder gives names as texts
		}
		m := span{name: name, start: len(e.out)}
		e.out = append(appendScalar(e.out, name), ':')
		if err := e.member(column); err != nil {
			return err
		}
		m.end = len(e.out)
		members = append(members, m)
	}
	if _, err := e.in.Token(); err != nil {
		return err
	}
	if len(members) == 0 {
		e.out = append(e.out, "{}"...)
		return nil
	}
	e.arrange(members, column)
	return nil
}

// arrange puts what was written of an object's members in order, each on a line of its own.
func (e *yamlWriter) arrange(members []span, column int) {
	start := members[0].start
	written := slices.Clone(e.out[start:])
	slices.SortStableFunc(members, func(a, b span) int { return strings.Compare(a.name, b.name) })
	e.out = e.out[:start]
	for i, m := range members {
		if i > 0 {
			e.line(column)
		}
		e.out = append(e.out, written[m.start-start:m.end-start]...)
	}
}

// member writes what follows a member's name. An object begins on a new line, further in; a list on a new line as well.
func (e *yamlWriter) member(column int) error {
	at := len(e.out)
	e.line(column + 2)
	first := len(e.out)
	token, err := e.in.Token()
	if err != nil {
		return err
	}
	switch v := token.(type) {
	case json.Delim:
		if v == '{' {
			err = e.object(column + 2)
		} else {
			e.out = e.out[:at]
			e.line(column)
			first = len(e.out)
			err = e.list(column)
		}
	case string:
		e.out = append(e.out[:at], ' ')
		e.text(v, column+2)
		return nil
	case json.Number:
		e.out = append(append(e.out[:at], ' '), v...)
		return nil
	default:
		text, _ := json.Marshal(token) // true, false or null
		e.out = append(append(e.out[:at], ' '), text...)
		return nil
	}
	if rest := string(e.out[first:]); err == nil && (rest == "{}" || rest == "[]") {
		e.out = append(append(e.out[:at], ' '), rest...)
	}
	return err
}

func (e *yamlWriter) list(column int) error {
	first := true
	for ; e.in.More(); first = false {
		if !first {
			e.line(column)
		}
		e.out = append(e.out, "- "...)
		if err := e.value(column + 2); err != nil {
			return err
		}
		if err := e.stop(); err != nil {
			return err
		}
	}
	if first {
		e.out = append(e.out, "[]"...)
	}
	_, err := e.in.Token()
	return err
}

// text writes a text: one of several lines as a block where that can be read back.
func (e *yamlWriter) text(s string, column int) {
	body, kept := strings.CutSuffix(s, "\n")
	if !strings.Contains(body, "\n") && !kept || body == "" || strings.HasSuffix(body, "\n") || body[0] == ' ' || body[0] == '\n' || !printable(body, "\n\t") {
		e.out = appendScalar(e.out, s)
		return
	}
	if e.out = append(e.out, '|'); !kept {
		e.out = append(e.out, '-')
	}
	for line := range strings.SplitSeq(body, "\n") {
		if line == "" {
			e.out = append(e.out, '\n')
			continue
		}
		e.line(column)
		e.out = append(e.out, line...)
	}
}

// printable returns whether a text consists of characters that YAML takes as they are, and of others.
func printable(s, others string) bool {
	for _, c := range s {
		if !(c >= ' ' && c < 0x7f || c >= 0xa0 && c <= 0xd7ff && c != 0x2028 && c != 0x2029 || c >= 0xe000 && c < utf8.RuneError && c != 0xfeff || c >= 0x10000 || strings.ContainsRune(others, c)) {
			return false
		}
	}
	return true
}

// appendScalar writes a text on one line, in quotes where it could be read as something else.
func appendScalar(b []byte, s string) []byte {
	if plainScalar(s) {
		return append(b, s...)
	}
	var quoted bytes.Buffer
	j := json.NewEncoder(&quoted)
	j.SetEscapeHTML(false)
	_ = j.Encode(s) // a text has no faults
	text := strings.TrimSuffix(quoted.String(), "\n")
	if printable(text, "") {
		return append(b, text...)
	}
	const digits = "0123456789abcdef"
	for _, c := range text {
		if printable(string(c), "") || c >= 0x10000 {
			b = utf8.AppendRune(b, c)
		} else {
			b = append(b, '\\', 'u', digits[c>>12&15], digits[c>>8&15], digits[c>>4&15], digits[c&15])
		}
	}
	return b
}

// keywords are the texts that YAML reads as something else, in small letters.
var keywords = map[string]bool{"true": true, "false": true, "yes": true, "no": true, "on": true, "off": true, "y": true, "n": true, "null": true}

// plainScalar returns whether YAML reads a text as itself: it begins like a word or a path and has no indicator character.
func plainScalar(s string) bool {
	if s == "" || keywords[strings.ToLower(s)] || s[len(s)-1] == ':' {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '/' || c == '_':
		case i > 0 && (c >= '0' && c <= '9' || c == '.' || c == '-' || c == ':' || c == '@' || c == '+'):
		default:
			return false
		}
	}
	return true
}
