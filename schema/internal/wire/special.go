package wire

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// The types here have methods that read and write their JSON. The frequent ones are read and written as their methods do it, without
// a slice of bytes for each value.

// special decodes what is not null.
func (d *decoder) special(k kind, at unsafe.Pointer, i int) int {
	switch k {
	case timestamp:
		return d.time(&(*metav1.Time)(at).Time, time.RFC3339, i)
	case microTime:
		return d.time(&(*metav1.MicroTime)(at).Time, metav1.RFC3339Micro, i)
	case quantity:
		return d.quantity((*resource.Quantity)(at), i)
	case intOrText:
		return d.intOrText((*intstr.IntOrString)(at), i)
	}
	return -1
}

func (d *decoder) time(to *time.Time, layout string, i int) int {
	if peek(d.s, i) != '"' {
		return -1
	}
	text, after := d.text(i)
	if after < 0 {
		return -1
	}
	t, err := time.Parse(layout, text)
	if err != nil {
		return -1
	}
	*to = t.Local()
	return after
}

// quantity parses the text of a string or a number, as it is written there. An escape in it is no part of a quantity.
func (d *decoder) quantity(to *resource.Quantity, i int) int {
	text, after := "", -1
	if c := peek(d.s, i); c == '"' {
		var escapes bool
		if after, escapes = quoted(d.s, i); after < 0 || escapes {
			return -1
		}
		text = d.s[i+1 : after-1]
	} else if c == 'n' {
		return null(d.s, i)
	} else if after = number(d.s, i); after >= 0 {
		text = d.s[i:after]
	}
	if text = strings.TrimSpace(text); !isBoundedQuantity(text) {
		return -1
	}
	q, err := resource.ParseQuantity(text)
	if err != nil {
		return -1
	}
	*to = q
	return after
}

func (d *decoder) intOrText(to *intstr.IntOrString, i int) (after int) {
	if peek(d.s, i) != '"' {
		return d.integer(int32s, unsafe.Pointer(&to.IntVal), i)
	}
	to.Type = intstr.String
	to.StrVal, after = d.text(i)
	return after
}

// method calls a type's UnmarshalJSON, for null as well.
func (d *decoder) method(p *plan, at unsafe.Pointer, i int) int {
	a := anything{s: d.s, buf: d.buf}
	after := a.value(i, maxDepth-d.depth)
	d.buf = a.buf
	if after < 0 || reflect.NewAt(p.typ, at).Interface().(json.Unmarshaler).UnmarshalJSON(d.data[i:after:after]) != nil {
		return -1
	}
	return after
}

// special appends a value of one of these types.
func (e *encoder) special(b []byte, k kind, at unsafe.Pointer) []byte {
	switch k {
	case timestamp:
		return e.time(b, (*metav1.Time)(at).Time, time.RFC3339, time.Second)
	case microTime:
		return e.time(b, (*metav1.MicroTime)(at).Time, metav1.RFC3339Micro, time.Microsecond)
	case quantity:
		return e.quantity(b, (*resource.Quantity)(at))
	case intOrText:
		return e.intOrText(b, (*intstr.IntOrString)(at))
	}
	e.failed = true
	return b
}

// time: a zero time is null. No layout gives a byte that JSON escapes. What is below the unit is not written.
func (e *encoder) time(b []byte, t time.Time, layout string, unit time.Duration) []byte {
	if t.IsZero() {
		return append(b, "null"...)
	}
	if !timeFits(t) {
		e.failed = true
		return b
	}
	if t.Nanosecond()%int(unit) != 0 {
		e.inexact = true
	}
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, layout)
	return append(b, '"')
}

// quantityTextOffset is the offset of the field in which a Quantity caches its text after String was called.
var quantityTextOffset = func() uintptr {
	f, ok := reflect.TypeFor[resource.Quantity]().FieldByName("s")
	if !ok || f.Type.Kind() != reflect.String {
		panic("wire: resource.Quantity has changed: MarshalJSON writes its field s if that is not empty")
	}
	return f.Offset
}()

// powers are the suffixes of 1024 to their index.
var powers = [...]string{"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"}

// quantity appends what q's MarshalJSON gives. CanonicalizeBytes allocates for an integer in BinarySI, as quantities
// of memory are: those are written here.
func (e *encoder) quantity(b []byte, q *resource.Quantity) []byte {
	b = append(b, '"')
	text := *(*string)(unsafe.Add(unsafe.Pointer(q), quantityTextOffset))
	if !quantityFits(q, text) {
		e.failed = true
		return b
	}
	if text != "" {
		b = append(b, text...)
		return append(b, '"')
	}
	if n, ok := q.AsInt64(); ok && n >= 1024 && q.Format == resource.BinarySI {
		power := 0
		for ; n%1024 == 0; power++ {
			n /= 1024
		}
		b = append(appendInt(b, n), powers[power]...)
		return append(b, '"')
	}
	digits, suffix := q.CanonicalizeBytes(e.scratch[:0])
	b = append(b, digits...)
	b = append(b, suffix...)
	return append(b, '"')
}

func (e *encoder) intOrText(b []byte, v *intstr.IntOrString) []byte {
	switch {
	case v.Type == intstr.Int:
		e.inexact = e.inexact || v.StrVal != ""
		return appendInt(b, int64(v.IntVal))
	case v.Type == intstr.String && !strings.ContainsAny(v.StrVal, "<>&"): // its method escapes these
		e.inexact = e.inexact || v.IntVal != 0
		return e.text(b, v.StrVal)
	}
	e.inexact = true
	return e.method(b, reflect.ValueOf(v).Interface().(json.Marshaler))
}

// method appends what a type writes, without the white space that it may contain.
func (e *encoder) method(b []byte, m json.Marshaler) []byte {
	text, err := m.MarshalJSON()
	if err != nil {
		e.failed = true
		return b
	}
	a := anything{s: unsafe.String(unsafe.SliceData(text), len(text)), buf: e.scratch}
	compact := a.value(0, maxDepth-e.depth) == len(text) && !a.space
	e.scratch = a.buf
	if compact && text[0] != 'n' {
		return append(b, text...)
	}
	e.inexact = true
	out := bytes.NewBuffer(b)
	e.failed = e.failed || !utf8.Valid(text) || nesting(a.s) > maxDepth-e.depth || json.Compact(out, text) != nil
	return out.Bytes()
}
