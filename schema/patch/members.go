package patch

import "bytes"

// member is one member of a JSON object: `"metadata"` and `{...}`.
type member struct{ name, value []byte }

// members takes the text of a JSON object apart, which is known to be valid; false: it is none, or a name is not plain
// text, or is there twice.
func members(data []byte) (out []member, ok bool) {
	at := 0
	skip := func() byte {
		for at < len(data) && (data[at] == ' ' || data[at] == '\t' || data[at] == '\r' || data[at] == '\n') {
			at++
		}
		if at == len(data) {
			return 0
		}
		return data[at]
	}
	if skip() != '{' {
		return nil, false
	}
	for at++; ; at++ {
		if skip() == '}' {
			return out, len(out) == 0
		}
		m := member{name: data[at : at+valueEnd(data[at:])]}
		at += len(m.name)
		if bytes.IndexByte(m.name, '\\') >= 0 || skip() != ':' {
			return nil, false
		}
		at++
		skip()
		m.value = data[at : at+valueEnd(data[at:])]
		at += len(m.value)
		for _, other := range out {
			if bytes.Equal(other.name, m.name) {
				return nil, false
			}
		}
		out = append(out, m)
		if skip() != ',' {
			return out, true
		}
	}
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

// part is the JSON object of those members of current that patch names, and the others. The members of an object are
// patched each by itself, unless a directive says otherwise (its name starts with '$'): then ok is false.
func part(current, patch []byte) (named []byte, others []member, ok bool) {
	touched, ok := members(patch)
	if !ok || len(touched) == 0 {
		return nil, nil, false
	}
	all, ok := members(current)
	if !ok {
		return nil, nil, false
	}
	b := []byte{'{'}
	for _, m := range all {
		in := false
		for _, t := range touched {
			if len(t.name) > 1 && t.name[1] == '$' {
				return nil, nil, false
			}
			in = in || bytes.Equal(t.name, m.name)
		}
		if in {
			b = appendMember(b, m)
		} else {
			others = append(others, m)
		}
	}
	return append(b, '}'), others, true
}

// with is the object patched with the members of others.
func with(patched []byte, others []member) []byte {
	n := len(patched)
	for _, m := range others {
		n += len(m.name) + len(m.value) + len(",:")
	}
	b := append(make([]byte, 0, n), patched[:len(patched)-1]...)
	for _, m := range others {
		b = appendMember(b, m)
	}
	return append(b, '}')
}

func appendMember(b []byte, m member) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	return append(append(append(b, m.name...), ':'), m.value...)
}
