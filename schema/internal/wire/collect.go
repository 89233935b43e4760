package wire

import (
	"encoding/base64"
	"reflect"
	"unsafe"
)

// header is a slice as the runtime has it.
type header struct {
	data unsafe.Pointer
	len  int
	cap  int
}

// room is where the elements of a slice type are decoded, before their number is known: the object gets a copy
// without space to spare. What is in it is zero while nobody has it.
type room struct {
	slice, copy           header
	sliceValue, copyValue reflect.Value // the same with their type, settable
}

const (
	firstRoom = 4       // elements
	maxRoom   = 1 << 14 // bytes that are kept
)

func newRoom(p *plan) *room {
	r := new(room)
	r.sliceValue = reflect.NewAt(p.typ, unsafe.Pointer(&r.slice)).Elem()
	r.copyValue = reflect.NewAt(p.typ, unsafe.Pointer(&r.copy)).Elem()
	r.grow(firstRoom)
	return r
}

func (r *room) grow(by int) {
	r.sliceValue.SetLen(r.slice.cap)
	r.sliceValue.Grow(by)
	r.slice.len = r.slice.cap
}

// copied returns a copy of the first n elements.
func (r *room) copied(n int) header {
	r.copyValue.Grow(n)
	r.slice.len, r.copy.len = n, n
	reflect.Copy(r.copyValue, r.sliceValue)
	c := r.copy
	r.copy = header{}
	return c
}

// take takes the room of p. Nobody else has it: a type that contains itself gets one for each level.
func (d *decoder) take(p *plan) *room {
	for len(d.rooms) <= p.room {
		d.rooms = append(d.rooms, nil)
	}
	r := d.rooms[p.room]
	if r == nil {
		return newRoom(p)
	}
	d.rooms[p.room] = nil
	return r
}

// give gives it back, with n elements used.
func (d *decoder) give(p *plan, r *room, n int) {
	if uintptr(r.slice.cap)*p.elem.size > maxRoom {
		return
	}
	r.slice.len = n
	r.sliceValue.Clear()
	d.rooms[p.room] = r
}

var empty struct{} // what a slice without elements points to, as it is not nil

func (d *decoder) array(p *plan, at unsafe.Pointer, i int) int {
	if d.depth++; d.depth > maxDepth {
		return -1
	}
	i, done := first(d.s, i, ']')
	if done {
		*(*header)(at) = header{data: unsafe.Pointer(&empty)}
		d.depth--
		return i
	}
	r, n := d.take(p), 0
	for !done && i >= 0 {
		if n == r.slice.cap {
			r.grow(n)
		}
		i = d.value(p.elem, unsafe.Add(r.slice.data, uintptr(n)*p.elem.size), i)
		if n++; i >= 0 {
			i, done = next(d.s, i, ']')
		}
	}
	if done {
		*(*header)(at) = r.copied(n)
	}
	d.give(p, r, n)
	d.depth--
	return i
}

// list is array for strings.
func (d *decoder) list(to *[]string, i int) int {
	all := d.texts[:0]
	i, done := first(d.s, i, ']')
	for !done && i >= 0 {
		var text string
		if peek(d.s, i) == '"' {
			text, i = d.text(i)
		} else {
			i = null(d.s, i)
		}
		all = append(all, text)
		i, done = next(d.s, i, ']')
	}
	if done {
		*to = make([]string, len(all))
		copy(*to, all)
	}
	clear(all)
	d.texts = all
	return i
}

// key reads a member's name and what is up to its value.
func (d *decoder) key(i int) (key string, after int) {
	if peek(d.s, i) != '"' {
		return "", -1
	}
	if key, i = d.text(i); i < 0 {
		return "", -1
	}
	if i = token(d.s, i); peek(d.s, i) != ':' {
		return "", -1
	}
	return key, token(d.s, i+1)
}

func (d *decoder) stringMap(to *map[string]string, i int) int {
	if peek(d.s, i) != '{' {
		return -1
	}
	m := map[string]string{}
	i, done := first(d.s, i, '}')
	for n := 1; !done; n++ {
		key, at := d.key(i)
		var value string
		if peek(d.s, at) == '"' {
			value, i = d.text(at)
		} else {
			i = null(d.s, at)
		}
		if i < 0 {
			return -1
		}
		if m[key] = value; len(m) != n {
			return -1
		}
		i, done = next(d.s, i, '}')
	}
	*to = m
	return i
}

func (d *decoder) amountMap(to *map[string]resourceQuantity, i int) int {
	if peek(d.s, i) != '{' {
		return -1
	}
	m := map[string]resourceQuantity{}
	i, done := first(d.s, i, '}')
	for n := 1; !done; n++ {
		key, at := d.key(i)
		if at < 0 {
			return -1
		}
		var value resourceQuantity
		if i = d.amount(&value, at); i < 0 {
			return -1
		}
		if m[key] = value; len(m) != n {
			return -1
		}
		i, done = next(d.s, i, '}')
	}
	*to = m
	return i
}

func (d *decoder) bytesMap(to *map[string][]byte, i int) int {
	if peek(d.s, i) != '{' {
		return -1
	}
	m := map[string][]byte{}
	i, done := first(d.s, i, '}')
	for n := 1; !done; n++ {
		key, at := d.key(i)
		if at < 0 {
			return -1
		}
		var value []byte
		if i = d.bytes(&value, at); i < 0 {
			return -1
		}
		if m[key] = value; len(m) != n {
			return -1
		}
		i, done = next(d.s, i, '}')
	}
	*to = m
	return i
}

func (d *decoder) anyMap(p *plan, at unsafe.Pointer, i int) int {
	if d.depth++; d.depth > maxDepth || peek(d.s, i) != '{' {
		return -1
	}
	m := reflect.MakeMap(p.typ)
	i, done := first(d.s, i, '}')
	for n := 1; !done; n++ {
		key, begin := d.key(i)
		if begin < 0 {
			return -1
		}
		elem := reflect.New(p.elem.typ)
		if i = d.value(p.elem, elem.UnsafePointer(), begin); i < 0 {
			return -1
		}
		m.SetMapIndex(reflect.ValueOf(key).Convert(p.typ.Key()), elem.Elem())
		if m.Len() != n {
			return -1
		}
		i, done = next(d.s, i, '}')
	}
	*(*unsafe.Pointer)(at) = m.UnsafePointer()
	d.depth--
	return i
}

func (d *decoder) bytes(to *[]byte, i int) int {
	if peek(d.s, i) != '"' {
		return null(d.s, i)
	}
	text, after := d.text(i)
	if after < 0 {
		return -1
	}
	b := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(b, unsafe.Slice(unsafe.StringData(text), len(text)))
	if err != nil {
		return -1
	}
	*to = b[:n]
	return after
}
