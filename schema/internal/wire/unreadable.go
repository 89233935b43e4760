package wire

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"
	"unicode/utf8"
	"unsafe"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	fields "k8s.io/apimachinery/pkg/util/validation/field"
)

// maxErrors is how many errors are named.
const maxErrors = 16

const (
	timeLimit      = "must be a time of the years 0000 to 9999 in UTC"
	quantityLimit  = "must be within -9223372036854775807 and 9223372036854775807, and no finer than 1n"
	quantityLength = "must be a quantity of at most 64 characters with an exponent of at most 64"
)

var nestingLimit = fmt.Sprintf("must not nest deeper than %d levels, with what it is in", maxDepth)

// Unreadable returns errors for the values that keep a struct, to which v points, from being encoded although encoding/json would write
// it: they could not be read again, or not at a bounded cost.
func Unreadable(v any) fields.ErrorList {
	p, at := planOf(v)
	f := errorCollector{}
	f.value(p, at, nil, 0)
	return f.list
}

type errorCollector struct{ list fields.ErrorList }

func (f *errorCollector) add(path *fields.Path, value any, detail string) {
	f.list = append(f.list, fields.Invalid(path, value, detail))
}

// value checks the value at at. depth is how deep it is nested.
func (f *errorCollector) value(p *plan, at unsafe.Pointer, path *fields.Path, depth int) {
	if len(f.list) >= maxErrors {
		return
	}
	if depth > maxDepth {
		f.add(path, "", nestingLimit)
		return
	}
	switch p.kind {
	case object:
		for i := range p.fields {
			one := &p.fields[i]
			f.value(one.plan, unsafe.Add(at, one.offset), child(path, one), depth+1)
		}
	case pointer:
		if to := *(*unsafe.Pointer)(at); to != nil {
			f.value(p.elem, to, path, depth+1)
		}
	case array:
		h := (*header)(at)
		for i := range h.len {
			f.value(p.elem, unsafe.Add(h.data, uintptr(i)*p.elem.size), path.Index(i), depth+1)
		}
	case anyMap, quantityMap:
		m := reflect.NewAt(p.typ, at).Elem()
		for _, key := range m.MapKeys() {
			elem := reflect.New(p.elem.typ)
			elem.Elem().Set(m.MapIndex(key))
			f.value(p.elem, elem.UnsafePointer(), path.Key(key.String()), depth+1)
		}
	default:
		f.special(p, at, path, depth)
	}
}

func child(path *fields.Path, one *field) *fields.Path {
	return path.Child(one.key[rest : len(one.key)-len(`":`)])
}

func (f *errorCollector) special(p *plan, at unsafe.Pointer, path *fields.Path, depth int) {
	switch p.kind {
	case timestamp, microTime:
		if t := *(*time.Time)(at); !t.IsZero() && !timeFits(t) {
			f.add(path, t.UTC().Format(time.RFC3339), timeLimit)
		}
	case quantity:
		q := (*resource.Quantity)(at)
		if c := q.DeepCopy(); !quantityFits(&c, "") {
			f.add(path, quantityShown(at), quantityLimit)
		}
	case intOrText:
		if v := (*intstr.IntOrString)(at); v.Type != intstr.Int && v.Type != intstr.String {
			f.add(path, int64(v.Type), "must be an integer or a string")
		}
	case customJSON:
		text, err := reflect.NewAt(p.typ, at).Interface().(json.Marshaler).MarshalJSON()
		switch {
		case err != nil:
			f.add(path, "", err.Error())
		case nesting(string(text)) > maxDepth-depth:
			f.add(path, "", nestingLimit)
		case !json.Valid(text) || !utf8.Valid(text):
			f.add(path, "", "must be valid JSON")
		}
	}
}

// quantityShown is the text of a quantity where it has one: writing one with a large exponent costs too much.
func quantityShown(at unsafe.Pointer) string {
	return *(*string)(unsafe.Add(at, quantityTextOffset))
}

// nesting is how deep the objects and arrays of a JSON text nest.
func nesting(s string) (deepest int) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			if i = stringEnd(s, i); i < 0 {
				return deepest
			}
			i--
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		}
	}
	return deepest
}

// stringEnd is the index after the string that begins at i; -1: it has no end. Its content is not checked.
func stringEnd(s string, i int) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return -1
}
