package wire

import (
	"strings"
	"sync"
	"unsafe"

	fields "k8s.io/apimachinery/pkg/util/validation/field"
)

// TooLarge returns errors for the values in data, JSON of what v points to, that the general codecs must not be given: quantities that would
// cost them without bound, and numbers that do not fit where an integer or a string may stand, whose error would not say where.
// It returns none for what those codecs accept, nor for data that is not JSON.
func TooLarge(data []byte, v any) fields.ErrorList {
	p, _ := planOf(v)
	x := excess{s: unsafe.String(unsafe.SliceData(data), len(data))}
	x.value(p, token(x.s, 0), nil, 0)
	return x.list
}

type excess struct {
	s    string
	list fields.ErrorList
}

func (x *excess) add(path *fields.Path, value, detail string) {
	const most = 2 * maxQuantityLength
	if len(value) > most {
		value = value[:most] + "..."
	}
	x.list = append(x.list, fields.Invalid(path, value, detail))
}

// value checks the value that begins at i and returns the index after it; -1: it has no end, or nests deeper than maxDepth.
func (x *excess) value(p *plan, i int, path *fields.Path, depth int) int {
	if len(x.list) >= maxErrors || depth > maxDepth {
		return -1
	}
	for p.kind == pointer {
		p = p.elem
	}
	if !p.numeric() {
		return skip(x.s, i)
	}
	c := peek(x.s, i)
	switch {
	case c == '{' && p.kind == object:
		return x.members(i, func(name string, i int) int {
			if f, _ := p.lookup(name+`"`, 0); f != nil {
				return x.value(f.plan, i, child(path, f), depth+1)
			}
			return skip(x.s, i)
		})
	case c == '{' && (p.kind == anyMap || p.kind == quantityMap):
		return x.members(i, func(name string, i int) int { return x.value(p.elem, i, path.Key(name), depth+1) })
	case c == '[' && p.kind == array:
		i, done := first(x.s, i, ']')
		for n := 0; !done && i >= 0; n++ {
			if i = x.value(p.elem, i, path.Index(n), depth+1); i >= 0 {
				i, done = next(x.s, i, ']')
			}
		}
		return i
	}
	after := skip(x.s, i)
	if after >= 0 {
		x.scalar(p.kind, x.s[i:after], path)
	}
	return after
}

// members calls f for each member of the object at i, with its name and the index of its value.
func (x *excess) members(i int, f func(name string, i int) int) int {
	i, done := first(x.s, i, '}')
	for !done && i >= 0 {
		if peek(x.s, i) != '"' {
			return -1
		}
		after := stringEnd(x.s, i)
		if after < 0 {
			return -1
		}
		name := x.s[i+1 : after-1]
		if strings.IndexByte(name, '\\') >= 0 {
			plain, ok := unescaped(nil, name)
			if name = string(plain); !ok {
				name = "\xff" // no field's
			}
		}
		if i = token(x.s, after); peek(x.s, i) != ':' {
			return -1
		}
		if i = f(name, token(x.s, i+1)); i >= 0 {
			i, done = next(x.s, i, '}')
		}
	}
	return i
}

// scalar checks the text of a value.
func (x *excess) scalar(k kind, text string, path *fields.Path) {
	switch k {
	case quantity:
		if text = strings.TrimSpace(strings.Trim(text, `"`)); !isBoundedQuantity(text) {
			x.add(path, text, quantityLength)
		}
	case intOrText:
		if digits(strings.TrimPrefix(text, "-"), 0) == len(strings.TrimPrefix(text, "-")) && !fits32(text) {
			x.add(path, text, "must be an integer of 32 bits or a string")
		}
	}
}

// skip is the index after the value at i; -1: it has no end. Its nesting is not limited.
func skip(s string, i int) int {
	depth := 0
	for {
		switch c := peek(s, i); c {
		case 0:
			return -1
		case '"':
			if i = stringEnd(s, i); i < 0 {
				return -1
			}
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\t', '\n', '\r':
			i++
		default:
			for i < len(s) && strings.IndexByte(",:]}{[\" \t\r\n", s[i]) < 0 {
				i++
			}
		}
		if depth <= 0 {
			return i
		}
	}
}

// numeric tells whether what p is of holds quantities, or what may be an integer or a string.
func (p *plan) numeric() bool {
	if known, ok := numerics.Load(p); ok {
		return known.(bool)
	}
	is := holdsNumbers(p, map[*plan]bool{})
	numerics.Store(p, is)
	return is
}

var numerics sync.Map // *plan -> bool

func holdsNumbers(p *plan, seen map[*plan]bool) bool {
	if p == nil || seen[p] {
		return false
	}
	seen[p] = true
	switch p.kind {
	case quantity, quantityMap, intOrText:
		return true
	case object:
		for i := range p.fields {
			if holdsNumbers(p.fields[i].plan, seen) {
				return true
			}
		}
		return false
	}
	return holdsNumbers(p.elem, seen)
}

// fits32 tells whether a number is an integer of 32 bits.
func fits32(text string) bool {
	n, after := integer(text, 0)
	return after == len(text) && int64(int32(n)) == n
}
