// Package wire turns JSON into Kubernetes API types and back, fast.
//
// A plan per Go type is compiled by reflection at its first use and then run with the offsets of the fields: nothing is
// generated, and a type that is not planned for is left to the general codecs.
//
// Decode takes plain input only: valid JSON and UTF-8, every field known and there once, each of its type. What it
// accepts becomes the same object that sigs.k8s.io/json makes of it without an error; for anything else it returns false, and
// the caller uses sigs.k8s.io/json. So it has no error texts of its own. Input is hostile: no bytes make it panic, read outside them or
// nest without bound.
//
// Encode writes what encoding/json writes without HTML escapes, byte for byte, or returns false: also where that could
// not be read again, or reading it would cost more than in proportion to its length (limits.go).
package wire

import (
	"reflect"
	"sync"
	"unsafe"
)

// maxDepth bounds how deep objects and arrays nest, for both directions. Valid objects of all kinds nest far less deep.
const maxDepth = 256

var decoders = sync.Pool{New: func() any { return new(decoder) }}

// Decode decodes data into v, a pointer to a zero struct. false: data is not plain, and v holds anything.
// The strings of v share data's memory, which must never change afterwards, and which lives as long as any of them.
func Decode(data []byte, v any) bool {
	p, at := planOf(v)
	d := decoders.Get().(*decoder)
	d.data, d.s = data, unsafe.String(unsafe.SliceData(data), len(data))
	i := token(d.s, 0)
	ok := peek(d.s, i) == '{'
	if ok {
		i = d.value(p, at, i)
		ok = i >= 0 && token(d.s, i) == len(d.s)
	}
	d.data, d.s, d.depth = nil, "", 0
	if cap(d.buf) > maxKept || cap(d.texts) > maxKept/16 {
		d.buf, d.texts = nil, nil
	}
	decoders.Put(d)
	return ok
}

// maxKept is the size in bytes of the largest buffer that is pooled.
const maxKept = 1 << 18

var encoders = sync.Pool{New: func() any { return &encoder{scratch: make([]byte, 0, 64)} }}

// Encode returns what v points to, a struct, as compact JSON in a slice of just its length. ok false: v holds
// what this package does not encode, or what has no JSON, or what could not be read again; Unreadable names the last.
// exact tells that who decodes the JSON gets what v is, but for slices and maps that are empty or nil.
func Encode(v any) (data []byte, exact, ok bool) {
	p, at := planOf(v)
	e := encoders.Get().(*encoder)
	b := e.value(e.buf[:0], p, at)
	if ok, exact = !e.failed, !e.failed && !e.inexact; ok {
		data = make([]byte, len(b))
		copy(data, b)
	}
	e.keep(b)
	return data, exact, ok
}

// planOf returns the plan of what v points to, and its address.
func planOf(v any) (*plan, unsafe.Pointer) {
	r := reflect.ValueOf(v)
	if r.Kind() != reflect.Pointer || r.IsNil() {
		return &plan{kind: other}, nil
	}
	p, ok := plans.Load(r.Type())
	if !ok {
		p = compile(r.Type())
	}
	return p.(*plan), r.UnsafePointer()
}
