package patch

import "bytes"

// member is one member of a JSON object: `"metadata"` and `{...}`.
type member struct{ name, value []byte }

// members splits the text of a JSON object, which is known to be valid, into its members; false: it is not an object, or a name has
// escapes or is there twice.
func members(data []byte) (out []member, ok bool) {
	s := scanner{data: data}
	if s.peek() != '{' {
		return nil, false
	}
	var known nameSet
	for s.at++; ; s.at++ {
		if s.peek() == '}' {
			return out, len(out) == 0
		}
		m := member{name: s.readText()}
		if bytes.IndexByte(m.name, '\\') >= 0 || s.peek() != ':' || known.has(out, m.name) {
			return nil, false
		}
		s.at++
		m.value = s.readText()
		out = append(out, m)
		if s.peek() != ',' {
			return out, true
		}
	}
}

// nameSet finds names among members: few by comparing each, more by a set that is made once.
type nameSet map[string]struct{}

// has tells whether one of list, which may have grown since the last call, has the name.
func (s *nameSet) has(list []member, name []byte) bool {
	if len(list) <= fewMembers {
		for i := range list {
			if bytes.Equal(list[i].name, name) {
				return true
			}
		}
		return false
	}
	if *s == nil {
		*s = make(nameSet, 2*len(list))
	}
	for i := len(*s); i < len(list); i++ {
		(*s)[string(list[i].name)] = struct{}{}
	}
	_, ok := (*s)[string(name)]
	return ok
}

// namedMembers is the JSON object of those members of current that patch names, and the others. The members of an object are
// patched each by itself, unless a directive says otherwise (its name starts with '$'): then ok is false.
func namedMembers(current, patch []byte) (named []byte, others []member, ok bool) {
	touched, ok := members(patch)
	if !ok || len(touched) == 0 {
		return nil, nil, false
	}
	for _, t := range touched {
		if len(t.name) > 1 && t.name[1] == '$' {
			return nil, nil, false
		}
	}
	all, ok := members(current)
	if !ok {
		return nil, nil, false
	}
	b := []byte{'{'}
	var known nameSet
	for _, m := range all {
		if known.has(touched, m.name) {
			b = appendMember(b, m)
		} else {
			others = append(others, m)
		}
	}
	return append(b, '}'), others, true
}

// joinMembers is the object patched with the members of others.
func joinMembers(patched []byte, others []member) []byte {
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
