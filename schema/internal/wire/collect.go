package wire

import (
	"encoding/base64"
	"reflect"
	"unsafe"

	"k8s.io/apimachinery/pkg/api/resource"
)

// header is a slice as the runtime has it.
type header struct {
	data unsafe.Pointer
	len  int
	cap  int
}

// elementBuffer is where the elements of a slice type are decoded, before their number is known: the object gets a copy
// without spare capacity. Its elements are zero while it is in decoder.buffers.
type elementBuffer struct {
	slice, copy           header
	sliceValue, copyValue reflect.Value // the same with their type, settable
}

const (
	firstElements = 4       // elements
	maxBuffer     = 1 << 14 // bytes of a buffer that is used again
)

func newElementBuffer(p *plan) *elementBuffer {
	b := new(elementBuffer)
	b.sliceValue = reflect.NewAt(p.typ, unsafe.Pointer(&b.slice)).Elem()
	b.copyValue = reflect.NewAt(p.typ, unsafe.Pointer(&b.copy)).Elem()
	b.grow(firstElements)
	return b
}

func (b *elementBuffer) grow(by int) {
	b.sliceValue.SetLen(b.slice.cap)
	b.sliceValue.Grow(by)
	b.slice.len = b.slice.cap
}

// copied returns a copy of the first n elements.
func (b *elementBuffer) copied(n int) header {
	b.copyValue.Grow(n)
	b.slice.len, b.copy.len = n, n
	reflect.Copy(b.copyValue, b.sliceValue)
	c := b.copy
	b.copy = header{}
	return c
}

// takeBuffer returns a buffer for p that is not in use: a type that contains itself gets one for each level.
func (d *decoder) takeBuffer(p *plan) *elementBuffer {
	for len(d.buffers) <= p.buffer {
		d.buffers = append(d.buffers, nil)
	}
	b := d.buffers[p.buffer]
	if b == nil {
		return newElementBuffer(p)
	}
	d.buffers[p.buffer] = nil
	return b
}

// returnBuffer makes b, of which n elements are used, free for the next call of takeBuffer.
func (d *decoder) returnBuffer(p *plan, b *elementBuffer, n int) {
	if uintptr(b.slice.cap)*p.elem.size > maxBuffer {
		return
	}
	b.slice.len = n
	b.sliceValue.Clear()
	d.buffers[p.buffer] = b
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
	b, n := d.takeBuffer(p), 0
	for !done && i >= 0 {
		if n == b.slice.cap {
			b.grow(n)
		}
		i = d.value(p.elem, unsafe.Add(b.slice.data, uintptr(n)*p.elem.size), i)
		if n++; i >= 0 {
			i, done = next(d.s, i, ']')
		}
	}
	if done {
		*(*header)(at) = b.copied(n)
	}
	d.returnBuffer(p, b, n)
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

// key reads a member's name and the colon; after is the index of its value.
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

func (d *decoder) quantityMap(to *map[string]resource.Quantity, i int) int {
	if peek(d.s, i) != '{' {
		return -1
	}
	m := map[string]resource.Quantity{}
	i, done := first(d.s, i, '}')
	for n := 1; !done; n++ {
		key, at := d.key(i)
		if at < 0 {
			return -1
		}
		var value resource.Quantity
		if i = d.quantity(&value, at); i < 0 {
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
