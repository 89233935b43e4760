package patch

import (
	"bytes"
	"encoding/json"
	"slices"
)

// node is a value of a document that operations change. It is text until one of its children is read or changed. JSON's null is a
// nil node where it stood in a text, and a node with the text null where an operation wrote it, which evanphx's json-patch
// treats differently.
type node struct {
	text   []byte // a compact or spaced JSON value, where object and list are nil
	object *object
	list   *list
}

// lazyLevels is how many levels of a document are parsed one by one, each by scanning all that is below. Deeper levels are parsed at
// once, so that a document is not scanned as many times as it has levels.
const lazyLevels = 8

// parse parses a node that is an object or list; false: it is neither. level is how deep it is in the document.
func (n *node) parse(level int) bool {
	if n == nil {
		return false
	}
	if n.object != nil || n.list != nil {
		return true
	}
	s := scanner{data: n.text}
	if c := s.peek(); c != '{' && c != '[' {
		return false
	}
	s.readChildren(n, level >= lazyLevels)
	return true
}

// readNode reads the next value; deep: all of it is parsed.
func (s *scanner) readNode(deep bool) *node {
	switch c := s.peek(); {
	case c == 'n':
		s.at += len("null")
		return nil
	case deep && (c == '{' || c == '['):
		n := &node{}
		s.readChildren(n, true)
		return n
	}
	return &node{text: s.readText()}
}

// readChildren parses the next object or list.
func (s *scanner) readChildren(n *node, deep bool) {
	opened := s.peek()
	s.at++
	if opened == '{' {
		n.object = &object{}
	}
	var elements []*node
	for {
		switch s.peek() {
		case '}', ']':
			s.at++
			if n.object == nil {
				n.list = newList(elements)
			}
			return
		case ',':
			s.at++
		default:
			if n.object == nil {
				elements = append(elements, s.readNode(deep))
				continue
			}
			quoted := s.readText()
			s.peek()
			s.at++ // the colon
			n.object.set(unquote(quoted), s.readNode(deep))
		}
	}
}

// append writes the value after b.
func (n *node) append(b []byte) []byte {
	switch {
	case n == nil:
		return append(b, "null"...)
	case n.object != nil:
		return n.object.append(b)
	case n.list != nil:
		return n.list.append(b)
	}
	return append(b, n.text...)
}

// isNull tells whether the value is null, of a text or of an operation.
func (n *node) isNull() bool {
	return n == nil || n.object == nil && n.list == nil && string(n.text) == "null"
}

// equal compares the values of two nodes. Numbers are compared as they are written.
func (n *node) equal(o *node) bool {
	if n == nil || o == nil {
		return n == o
	}
	if !n.parse(lazyLevels) {
		return !o.parse(lazyLevels) && sameScalar(n.text, o.text)
	}
	switch {
	case !o.parse(lazyLevels) || (n.object == nil) != (o.object == nil):
		return false
	case n.object != nil:
		return n.object.equal(o.object)
	}
	return n.list.equal(o.list)
}

func sameScalar(a, b []byte) bool {
	if a[0] == '"' && b[0] == '"' {
		return unquote(a) == unquote(b)
	}
	return bytes.Equal(a, b)
}

// object is a JSON object whose members are found, added and removed in constant time and keep their order.
type object struct {
	members []objectMember
	places  map[string]int // of the members by name; nil for few
	size    int            // without the removed ones
}

type objectMember struct {
	name    string
	value   *node
	removed bool
}

// fewMembers is up to how many members are searched one by one.
const fewMembers = 16

// place is where a member is; -1: nowhere.
func (o *object) place(name string) int {
	if o.places != nil {
		if i, ok := o.places[name]; ok {
			return i
		}
		return -1
	}
	return slices.IndexFunc(o.members, func(m objectMember) bool { return !m.removed && m.name == name })
}

func (o *object) get(name string) (*node, bool) {
	if i := o.place(name); i >= 0 {
		return o.members[i].value, true
	}
	return nil, false
}

func (o *object) set(name string, value *node) {
	if i := o.place(name); i >= 0 {
		o.members[i].value = value
		return
	}
	o.members = append(o.members, objectMember{name: name, value: value})
	o.size++
	switch {
	case o.places != nil:
		o.places[name] = len(o.members) - 1
	case len(o.members) > fewMembers:
		o.places = make(map[string]int, 2*len(o.members))
		for i := range o.members {
			if !o.members[i].removed {
				o.places[o.members[i].name] = i
			}
		}
	}
}

func (o *object) remove(name string) bool {
	i := o.place(name)
	if i < 0 {
		return false
	}
	o.members[i] = objectMember{name: name, removed: true}
	o.size--
	delete(o.places, name)
	return true
}

func (o *object) append(b []byte) []byte {
	b = append(b, '{')
	for i, first := 0, true; i < len(o.members); i++ {
		m := &o.members[i]
		if m.removed {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = m.value.append(append(appendQuoted(b, m.name), ':'))
	}
	return append(b, '}')
}

// appendQuoted writes a text as JSON without HTML escapes.
func appendQuoted(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			var out bytes.Buffer
			e := json.NewEncoder(&out)
			e.SetEscapeHTML(false)
			_ = e.Encode(text) // a string always encodes
			return append(b, bytes.TrimRight(out.Bytes(), "\n")...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}

func (o *object) equal(other *object) bool {
	if o.size != other.size {
		return false
	}
	for i := range o.members {
		m := &o.members[i]
		if m.removed {
			continue
		}
		if value, ok := other.get(m.name); !ok || !m.value.equal(value) {
			return false
		}
	}
	return true
}
