package wire

import (
	"reflect"
	"strings"
	"unsafe"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// field is one member of a struct's JSON, perhaps of a struct embedded in it. It is small, as most of the time goes
// into fetching fields.
type field struct {
	head   uint64 // of the name and the quote after it
	key    string // `,"name":`
	plan   *plan
	offset uint32 // bytes from the struct's start
	index  uint8  // in plan.fields
	kind   kind   // of plan
}

// rest is where in a field's key the part begins that is compared with the input: the name and the quote after it.
const rest = len(`,"`)

// check is how to find out whether a field is left out.
type check struct {
	offset uint32 // bytes from the struct's start to what is checked
	empty  emptiness
}

// emptiness is what to check.
type emptiness uint8

const (
	never    emptiness = iota
	zeroWord           // a pointer, or the length in a string or slice
	zero8              // a number or bool of so many bytes
	zero4
	zero2
	zero1
	noEntries // a map
	byMethod  // plan.zero
)

const wordSize = unsafe.Sizeof(uintptr(0))

// maxFields is how many a struct may have: they are a set of bits.
const maxFields = 64

// plannedField is a field, with what is needed only while its struct is planned.
type plannedField struct {
	field
	check
	name  string
	depth int                       // of embedding
	zero  func(unsafe.Pointer) bool // where check.empty is byMethod
}

// planStruct plans a struct as encoding/json sees it. It stays other where names clash or an option is not supported here.
func planStruct(p *plan) {
	all, ok := flatten(nil, p.typ, 0, 0)
	if ok {
		all, ok = visible(all)
	}
	if !ok || len(all) > maxFields {
		return
	}
	p.kind = object
	p.fields = make([]field, len(all))
	p.checks = make([]check, len(all))
	p.zero = make([]func(unsafe.Pointer) bool, len(all))
	size := 4
	for size < 3*len(all) {
		size *= 2
	}
	p.table = make([]uint8, size)
	for i, one := range all {
		f := &p.fields[i]
		*f, p.checks[i], p.zero[i] = one.field, one.check, one.zero
		f.index, f.kind = uint8(i), f.plan.kind
		f.head = head(f.key, rest)
		at := p.place(f.head)
		for p.table[at] != 0 {
			at = (at + 1) & (size - 1)
		}
		p.table[at] = uint8(i + 1)
	}
}

// flatten appends the fields of t, which lies at offset in the outermost struct. false: t has what is not planned for.
func flatten(all []plannedField, t reflect.Type, offset uintptr, depth int) ([]plannedField, bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		if tag == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		ok := true
		switch {
		case !f.Anonymous || name != "":
			if name == "" {
				name = f.Name
			}
			var one plannedField
			one, ok = fieldOf(f, name, options, offset, depth)
			all = append(all, one)
		case f.Type.Kind() == reflect.Struct:
			all, ok = flatten(all, f.Type, offset+f.Offset, depth+1)
		default:
			ok = false
		}
		if !ok {
			return nil, false
		}
	}
	return all, true
}

// fieldOf plans one field. false: encoding/json has rules for it that are not supported here.
func fieldOf(f reflect.StructField, name, options string, offset uintptr, depth int) (plannedField, bool) {
	one := plannedField{name: name, depth: depth}
	if !f.IsExported() || !simpleName(name) || offset+f.Type.Size() > 1<<31 {
		return one, false
	}
	offset += f.Offset
	one.field = field{key: `,"` + name + `":`, plan: planFor(f.Type), offset: uint32(offset)}
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "omitempty":
			one.check, one.zero = checkOf(f.Type, offset)
		case "omitzero":
			if one.empty != never {
				return one, false // both omitempty and omitzero: not supported
			}
			one.check, one.zero = check{empty: byMethod}, zeroOf(f.Type)
		case "", "inline":
		default:
			return one, false // "string" is not supported; others have no meaning
		}
	}
	return one, true
}

// simpleName says whether a name is one that a tag may hold and that stands in JSON as it is.
func simpleName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c > '~' || strings.IndexByte("\"\\'`,", c) >= 0 {
			return false
		}
	}
	return true
}

// visible removes the fields that a less embedded one of the same name hides; false: two of one name and depth clash.
func visible(all []plannedField) ([]plannedField, bool) {
	best := map[string]int{}
	for _, f := range all {
		if depth, ok := best[f.name]; !ok || f.depth < depth {
			best[f.name] = f.depth
		}
	}
	var kept []plannedField
	for _, f := range all {
		if f.depth == best[f.name] {
			kept = append(kept, f)
		}
	}
	return kept, len(kept) == len(best)
}

// checkOf is for a field of type t with omitempty. A struct is never empty.
func checkOf(t reflect.Type, offset uintptr) (check, func(unsafe.Pointer) bool) {
	at := uint32(offset)
	switch t.Kind() {
	case reflect.String, reflect.Slice:
		return check{at + uint32(wordSize), zeroWord}, nil
	case reflect.Pointer:
		return check{at, zeroWord}, nil
	case reflect.Map:
		return check{at, noEntries}, nil
	case reflect.Bool, reflect.Int8:
		return check{at, zero1}, nil
	case reflect.Int16:
		return check{at, zero2}, nil
	case reflect.Int32:
		return check{at, zero4}, nil
	case reflect.Int64:
		return check{at, zero8}, nil
	case reflect.Float32, reflect.Float64:
		return check{at, byMethod}, zeroOf(t)
	}
	return check{}, nil
}

// zeroOf returns the function by which encoding/json decides for a field of type t with omitzero.
func zeroOf(t reflect.Type) func(unsafe.Pointer) bool {
	type zeroer interface{ IsZero() bool }
	asks := reflect.TypeFor[zeroer]()
	switch {
	case t == reflect.TypeFor[metav1.Time]():
		return func(at unsafe.Pointer) bool { return (*metav1.Time)(at).IsZero() }
	case t.Kind() == reflect.Interface:
		return func(unsafe.Pointer) bool { return false } // it is of kind other
	case t.Kind() == reflect.Pointer && t.Implements(asks):
		return func(at unsafe.Pointer) bool {
			v := reflect.NewAt(t, at).Elem()
			return v.IsNil() || v.Interface().(zeroer).IsZero()
		}
	case t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(asks):
		return func(at unsafe.Pointer) bool { return reflect.NewAt(t, at).Interface().(zeroer).IsZero() }
	}
	return func(at unsafe.Pointer) bool { return reflect.NewAt(t, at).Elem().IsZero() }
}
