package wire

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"
	"unsafe"

	"k8s.io/apimachinery/pkg/api/resource"
)

// encoder is the state of one encoding. It is pooled, with its buffers.
type encoder struct {
	buf     []byte
	failed  bool // the outcome is not used
	inexact bool // decoding the outcome gives another value
	depth   int

	keys    []string          // of the map being written
	current resource.Quantity // the value of that map being written
	scratch []byte
}

// value appends the value at at.
func (e *encoder) value(b []byte, p *plan, at unsafe.Pointer) []byte {
	switch p.kind {
	case str:
		return e.text(b, *(*string)(at))
	case object:
		return e.object(b, p, at)
	case pointer:
		return e.pointer(b, p, at)
	case array:
		return e.array(b, p, at)
	case texts:
		return e.texts(b, *(*[]string)(at))
	case boolean:
		return strconv.AppendBool(b, *(*bool)(at))
	case int32s:
		return appendInt(b, int64(*(*int32)(at)))
	case int64s:
		return appendInt(b, *(*int64)(at))
	case int16s:
		return appendInt(b, int64(*(*int16)(at)))
	case int8s:
		return appendInt(b, int64(*(*int8)(at)))
	case float64s:
		return e.float(b, *(*float64)(at), 64)
	case float32s:
		return e.float(b, float64(*(*float32)(at)), 32)
	case stringMap:
		return e.stringMap(b, *(*map[string]string)(at))
	case quantityMap:
		return e.quantityMap(b, *(*map[string]resource.Quantity)(at))
	case bytesMap:
		return e.bytesMap(b, *(*map[string][]byte)(at))
	case anyMap:
		return e.anyMap(b, p, reflect.NewAt(p.typ, at).Elem())
	case bytes64:
		return appendBytes(b, *(*[]byte)(at))
	case customJSON:
		return e.method(b, reflect.NewAt(p.typ, at).Interface().(json.Marshaler))
	}
	return e.special(b, p.kind, at)
}

// enterLevel counts a level of nesting and says whether it may be written. An object that contains itself has no end.
func (e *encoder) enterLevel() bool {
	e.depth++
	e.failed = e.failed || e.depth > maxDepth
	return !e.failed
}

func (e *encoder) object(b []byte, p *plan, at unsafe.Pointer) []byte {
	if !e.enterLevel() {
		return b
	}
	start := len(b)
	for i := range p.checks {
		if c := &p.checks[i]; c.empty != never && omitted(p, i, c, at) {
			continue
		}
		f := &p.fields[i]
		b = append(b, f.key...)
		if to := unsafe.Add(at, f.offset); f.kind == str {
			b = e.text(b, *(*string)(to))
		} else {
			b = e.value(b, f.plan, to)
		}
	}
	e.depth--
	if len(b) == start {
		return append(b, "{}"...)
	}
	b[start] = '{' // in place of the first member's comma
	return append(b, '}')
}

// omitted says whether field i of the struct at at is left out, as c is to check.
func omitted(p *plan, i int, c *check, at unsafe.Pointer) bool {
	to := unsafe.Add(at, c.offset)
	switch c.empty {
	case zeroWord:
		return *(*uintptr)(to) == 0
	case zero8:
		return *(*uint64)(to) == 0
	case zero4:
		return *(*uint32)(to) == 0
	case zero2:
		return *(*uint16)(to) == 0
	case zero1:
		return *(*uint8)(to) == 0
	case noEntries:
		return len(*(*map[string]string)(to)) == 0
	}
	return p.zero[i](unsafe.Add(at, p.fields[i].offset))
}

func (e *encoder) pointer(b []byte, p *plan, at unsafe.Pointer) []byte {
	to := *(*unsafe.Pointer)(at)
	if to == nil {
		return append(b, "null"...)
	}
	if !e.enterLevel() {
		return b
	}
	b = e.value(b, p.elem, to)
	e.depth--
	if (p.elem.kind == timestamp || p.elem.kind == microTime) && (*time.Time)(to).IsZero() {
		e.inexact = true // null, which is read as no pointer
	}
	return b
}

func (e *encoder) array(b []byte, p *plan, at unsafe.Pointer) []byte {
	h := (*header)(at)
	if h.data == nil {
		return append(b, "null"...)
	}
	if h.len == 0 {
		return append(b, "[]"...)
	}
	if !e.enterLevel() {
		return b
	}
	start := len(b)
	for i := range h.len {
		b = append(b, ',')
		b = e.value(b, p.elem, unsafe.Add(h.data, uintptr(i)*p.elem.size))
	}
	e.depth--
	b[start] = '['
	return append(b, ']')
}

func (e *encoder) texts(b []byte, all []string) []byte {
	if all == nil {
		return append(b, "null"...)
	}
	if len(all) == 0 {
		return append(b, "[]"...)
	}
	start := len(b)
	for _, text := range all {
		b = e.text(append(b, ','), text)
	}
	b[start] = '['
	return append(b, ']')
}

// sorted appends the keys of a map to e.keys, sorted, and returns those of this map. done removes them.
func sorted[V any](e *encoder, m map[string]V) []string {
	start := len(e.keys)
	for key := range m {
		e.keys = append(e.keys, key)
	}
	slices.Sort(e.keys[start:])
	return e.keys[start:]
}

// done removes the keys of a map that sorted appended.
func (e *encoder) done(keys []string) {
	clear(keys)
	e.keys = e.keys[:len(e.keys)-len(keys)]
}

// key appends a comma and a member's name. closed replaces the first comma by the brace.
func (e *encoder) key(b []byte, key string) []byte {
	b = append(b, ',')
	b = e.text(b, key)
	return append(b, ':')
}

// closed ends the members from start on.
func closed(b []byte, start int) []byte {
	if len(b) == start {
		return append(b, "{}"...)
	}
	b[start] = '{'
	return append(b, '}')
}

func (e *encoder) stringMap(b []byte, m map[string]string) []byte {
	if m == nil {
		return append(b, "null"...)
	}
	start, keys := len(b), sorted(e, m)
	for _, key := range keys {
		b = e.text(e.key(b, key), m[key])
	}
	e.done(keys)
	return closed(b, start)
}

func (e *encoder) quantityMap(b []byte, m map[string]resource.Quantity) []byte {
	if m == nil {
		return append(b, "null"...)
	}
	start, keys := len(b), sorted(e, m)
	for _, key := range keys {
		e.current = m[key]
		b = e.quantity(e.key(b, key), &e.current)
	}
	e.current = resource.Quantity{}
	e.done(keys)
	return closed(b, start)
}

func (e *encoder) bytesMap(b []byte, m map[string][]byte) []byte {
	if m == nil {
		return append(b, "null"...)
	}
	start, keys := len(b), sorted(e, m)
	for _, key := range keys {
		b = appendBytes(e.key(b, key), m[key])
	}
	e.done(keys)
	return closed(b, start)
}

func (e *encoder) anyMap(b []byte, p *plan, m reflect.Value) []byte {
	if m.IsNil() {
		return append(b, "null"...)
	}
	if !e.enterLevel() {
		return b
	}
	start, keys := len(b), m.MapKeys()
	slices.SortFunc(keys, func(x, y reflect.Value) int {
		if x.String() < y.String() {
			return -1
		}
		return 1
	})
	elem := reflect.New(p.elem.typ)
	for _, key := range keys {
		elem.Elem().Set(m.MapIndex(key))
		b = e.value(e.key(b, key.String()), p.elem, elem.UnsafePointer())
	}
	e.depth--
	return closed(b, start)
}

func appendInt(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

func appendBytes(b, data []byte) []byte {
	if data == nil {
		return append(b, "null"...)
	}
	b = append(b, '"')
	b = base64.StdEncoding.AppendEncode(b, data)
	return append(b, '"')
}

// float appends a number as ECMAScript writes it: an exponent below 1e-6 and from 1e21 on, of few digits.
func (e *encoder) float(b []byte, f float64, bits int) []byte {
	abs := math.Abs(f)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		e.failed = true
		return b
	}
	small, big := abs < 1e-6, abs >= 1e21
	if bits == 32 {
		small, big = float32(abs) < 1e-6, float32(abs) >= 1e21
	}
	if abs == 0 || !small && !big {
		return strconv.AppendFloat(b, f, 'f', -1, bits)
	}
	b = strconv.AppendFloat(b, f, 'e', -1, bits)
	if n := len(b); n >= 4 && string(b[n-4:n-1]) == "e-0" {
		b = append(b[:n-2], b[n-1])
	}
	return b
}
