package wire

import (
	"reflect"
	"strconv"
	"strings"
	"unsafe"

	"k8s.io/apimachinery/pkg/api/resource"
)

// decoder is the state of one decoding. It is pooled, with its buffers.
type decoder struct {
	data  []byte
	s     string // the same memory
	depth int

	buf     []byte           // an unescaped string
	texts   []string         // a []string's elements
	buffers []*elementBuffer // by plan.buffer; nil: there is none, or it is in use
}

// value decodes the value that begins at i into the zero value at at. As encoding/json has it, null leaves a zero
// value of any kind as it is; only UnmarshalJSON methods are called for it. Like the functions of the scanner it returns the index after
// the value, or -1.
func (d *decoder) value(p *plan, at unsafe.Pointer, i int) int {
	s := d.s
	switch p.kind {
	case str:
		if peek(s, i) == '"' {
			text, after := d.text(i)
			*(*string)(at) = text
			return after
		}
	case object:
		if peek(s, i) == '{' {
			return d.object(p, at, i)
		}
	case pointer:
		if peek(s, i) != 'n' {
			return d.pointer(p, at, i)
		}
	case array:
		if peek(s, i) == '[' {
			return d.array(p, at, i)
		}
	case texts:
		if peek(s, i) == '[' {
			return d.list((*[]string)(at), i)
		}
	case boolean:
		if peek(s, i) == 't' && strings.HasPrefix(s[i:], "true") {
			*(*bool)(at) = true
			return i + 4
		}
		if peek(s, i) == 'f' && strings.HasPrefix(s[i:], "false") {
			return i + 5
		}
	case int8s, int16s, int32s, int64s:
		if peek(s, i) != 'n' {
			return d.integer(p.kind, at, i)
		}
	default:
		return d.rareKind(p, at, i)
	}
	return null(s, i)
}

// rareKind is value for the kinds that are rare in objects.
func (d *decoder) rareKind(p *plan, at unsafe.Pointer, i int) int {
	switch p.kind {
	case other:
		return -1
	case customJSON:
		return d.method(p, at, i)
	}
	if peek(d.s, i) == 'n' {
		return null(d.s, i)
	}
	switch p.kind {
	case stringMap:
		return d.stringMap((*map[string]string)(at), i)
	case quantityMap:
		return d.quantityMap((*map[string]resource.Quantity)(at), i)
	case bytesMap:
		return d.bytesMap((*map[string][]byte)(at), i)
	case anyMap:
		return d.anyMap(p, at, i)
	case bytes64:
		return d.bytes((*[]byte)(at), i)
	case float32s, float64s:
		return d.float(p.kind, at, i)
	}
	return d.special(p.kind, at, i)
}

// text is a string.
func (d *decoder) text(i int) (string, int) {
	after, escapes := quoted(d.s, i)
	if after < 0 {
		return "", -1
	}
	if !escapes {
		return d.s[i+1 : after-1], after
	}
	var ok bool
	if d.buf, ok = unescaped(d.buf[:0], d.s[i+1:after-1]); !ok {
		return "", -1
	}
	return string(d.buf), after
}

func (d *decoder) object(p *plan, at unsafe.Pointer, i int) int {
	s := d.s
	if d.depth++; d.depth > maxDepth {
		return -1
	}
	var seen uint64
	i, done := first(s, i, '}')
	for !done {
		if peek(s, i) != '"' {
			return -1
		}
		f, end := p.lookup(s, i+1)
		if f == nil || seen>>f.index&1 != 0 {
			return -1
		}
		seen |= 1 << f.index
		if i = token(s, end); peek(s, i) != ':' {
			return -1
		}
		i = token(s, i+1)
		if to := unsafe.Add(at, f.offset); f.kind == str && peek(s, i) == '"' {
			*(*string)(to), i = d.text(i)
		} else {
			i = d.value(f.plan, to, i)
		}
		i, done = next(s, i, '}')
	}
	d.depth--
	return i
}

// pointer decodes what is not null.
func (d *decoder) pointer(p *plan, at unsafe.Pointer, i int) int {
	var to unsafe.Pointer
	switch p.elem.kind {
	case boolean:
		to = unsafe.Pointer(new(bool))
	case int32s:
		to = unsafe.Pointer(new(int32))
	case int64s:
		to = unsafe.Pointer(new(int64))
	case str:
		to = unsafe.Pointer(new(string))
	default:
		to = reflect.New(p.elem.typ).UnsafePointer()
	}
	*(*unsafe.Pointer)(at) = to
	return d.value(p.elem, to, i)
}

func (d *decoder) integer(k kind, at unsafe.Pointer, i int) int {
	n, after := integer(d.s, i)
	fits := true
	switch k {
	case int8s:
		*(*int8)(at) = int8(n)
		fits = int64(int8(n)) == n
	case int16s:
		*(*int16)(at) = int16(n)
		fits = int64(int16(n)) == n
	case int32s:
		*(*int32)(at) = int32(n)
		fits = int64(int32(n)) == n
	case int64s:
		*(*int64)(at) = n
	}
	if !fits {
		return -1
	}
	return after
}

func (d *decoder) float(k kind, at unsafe.Pointer, i int) int {
	after := number(d.s, i)
	if after < 0 {
		return -1
	}
	bits := 64
	if k == float32s {
		bits = 32
	}
	n, err := strconv.ParseFloat(d.s[i:after], bits)
	if err != nil {
		return -1
	}
	if k == float32s {
		*(*float32)(at) = float32(n)
	} else {
		*(*float64)(at) = n
	}
	return after
}
