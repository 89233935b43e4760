package wire

import (
	"encoding"
	"encoding/json"
	"reflect"
	"sync"
	"unsafe"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// kind says how the values of a type are read and written.
type kind uint8

const (
	other kind = iota // not supported: decoding and encoding return false for a value of it
	str
	boolean
	int8s
	int16s
	int32s
	int64s
	float32s
	float64s
	object
	pointer
	array       // a slice
	texts       // []string
	bytes64     // []byte: base64
	stringMap   // map[string]string
	bytesMap    // map[string][]byte
	quantityMap // map[string]resource.Quantity
	anyMap      // another map with keys of kind string
	timestamp   // metav1.Time
	microTime   // metav1.MicroTime
	quantity    // resource.Quantity
	intOrText   // intstr.IntOrString
	customJSON  // has UnmarshalJSON and MarshalJSON of its own
)

// plan is what is known of a Go type. It is read-only once it is in plans.
type plan struct {
	kind   kind
	buffer int     // of a slice: the index of its buffer in decoder.buffers
	size   uintptr // bytes
	typ    reflect.Type
	elem   *plan // of a pointer, slice or map

	// Of a struct, in order of declaration:
	fields []field
	checks []check
	zero   []func(unsafe.Pointer) bool
	table  []uint8 // 1 + index in fields, by name; 0: the place is free
}

var (
	plans sync.Map // pointer type -> *plan of what it points to

	compiling sync.Mutex
	compiled  = map[reflect.Type]*plan{} // guarded by compiling, as buffers is
	buffers   int
)

// compile returns the plan of what the pointer type t points to.
func compile(t reflect.Type) *plan {
	compiling.Lock()
	defer compiling.Unlock()
	p := planFor(t.Elem())
	plans.Store(t, p)
	return p
}

var special = map[reflect.Type]kind{
	reflect.TypeFor[metav1.Time]():        timestamp,
	reflect.TypeFor[metav1.MicroTime]():   microTime,
	reflect.TypeFor[resource.Quantity]():  quantity,
	reflect.TypeFor[intstr.IntOrString](): intOrText,
	reflect.TypeFor[json.Number]():        other, // a string that is written as a number
}

var simple = map[reflect.Kind]kind{
	reflect.String: str, reflect.Bool: boolean,
	reflect.Int8: int8s, reflect.Int16: int16s, reflect.Int32: int32s, reflect.Int64: int64s,
	reflect.Float32: float32s, reflect.Float64: float64s,
}

// planFor returns the plan of t; that of a recursive type is not filled in before the outermost call returns.
func planFor(t reflect.Type) *plan {
	if p := compiled[t]; p != nil {
		return p
	}
	p := &plan{typ: t, size: t.Size()}
	compiled[t] = p
	if k, ok := special[t]; ok {
		p.kind = k
		return p
	}
	if read, write, text := methods(t); read || write || text {
		if read && write {
			p.kind = customJSON
		}
		return p
	}
	switch t.Kind() {
	case reflect.Struct:
		planStruct(p)
	case reflect.Pointer:
		p.kind, p.elem = pointer, planFor(t.Elem())
	case reflect.Slice:
		planSlice(p)
	case reflect.Map:
		planMap(p)
	default:
		p.kind = simple[t.Kind()] // other if it is none
	}
	return p
}

var (
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	marshaler       = reflect.TypeFor[json.Marshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
)

// methods says whether an addressable T has UnmarshalJSON or MarshalJSON, or is a text to encoding/json.
// A pointer has the methods of what it points to and no others: its plan is made without them.
func methods(t reflect.Type) (read, write, text bool) {
	if t.Kind() == reflect.Pointer {
		return false, false, false
	}
	p := reflect.PointerTo(t)
	return p.Implements(unmarshaler), p.Implements(marshaler), p.Implements(textUnmarshaler) || p.Implements(textMarshaler)
}

func planSlice(p *plan) {
	elem := p.typ.Elem()
	read, write, text := methods(elem)
	if elem.Kind() == reflect.Uint8 {
		if !read && !write && !text {
			p.kind = bytes64
		}
		return
	}
	if p.elem = planFor(elem); p.elem.kind == str {
		p.kind = texts
		return
	}
	p.kind, p.buffer = array, buffers
	buffers++
}

// planMap: the runtime keeps maps whose keys are of kind string alike, whatever the name of the key's type, and so are
// maps read here whose values have the same form.
func planMap(p *plan) {
	key, elem := p.typ.Key(), p.typ.Elem()
	if read, write, text := methods(key); key.Kind() != reflect.String || read || write || text {
		return
	}
	p.kind, p.elem = anyMap, planFor(elem)
	switch {
	case p.elem.kind == str:
		p.kind = stringMap
	case p.elem.kind == bytes64:
		p.kind = bytesMap
	case p.elem.kind == quantity:
		p.kind = quantityMap
	case pointerMethods(elem):
		p.kind = other
	}
}

// pointerMethods says whether JSON is written of a T, or of a part that lies in it, by a method that only pointers
// have. encoding/json does not use those for the values of a map, which have no address.
func pointerMethods(t reflect.Type) bool {
	if _, write, text := methods(t); write || text {
		return !t.Implements(marshaler)
	}
	if t.Kind() == reflect.Struct {
		for i := range t.NumField() {
			if pointerMethods(t.Field(i).Type) {
				return true
			}
		}
	}
	return t.Kind() == reflect.Array
}
