package wire

import (
	"encoding/binary"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/resource"
	fields "k8s.io/apimachinery/pkg/util/validation/field"
)

// TooLargeProtobuf is TooLarge for the protobuf form of what v points to: it returns errors for the quantities in data that its
// Unmarshal must not be given.
func TooLargeProtobuf(data []byte, v any) fields.ErrorList {
	x := excess{}
	x.message(reflect.TypeOf(v).Elem(), data, nil)
	return x.list
}

// protoField is a field of a message that is a quantity or holds some.
type protoField struct {
	name string       // in JSON; "": its members are its message's
	elem reflect.Type // of its value, or of each of them
	keys bool         // it is a map, whose entries are messages: key 1, value 2
	list bool
}

// message checks the message in data, of type t, up to where it is not a message: Unmarshal returns that error.
func (x *excess) message(t reflect.Type, data []byte, path *fields.Path) {
	all := protoFields(t)
	var seen map[uint64]int // elements of lists
	eachField(data, func(number uint64, value []byte) {
		f, ok := all[number]
		if !ok || len(x.list) >= maxErrors {
			return
		}
		at := path
		if f.name != "" {
			at = path.Child(f.name)
		}
		if f.list {
			if seen == nil {
				seen = map[uint64]int{}
			}
			at = at.Index(seen[number])
			seen[number]++
		}
		if !f.keys {
			x.protoValue(f.elem, value, at)
			return
		}
		key := ""
		eachField(value, func(number uint64, part []byte) {
			switch number {
			case 1:
				key = string(part)
			case 2:
				x.protoValue(f.elem, part, at.Key(key))
			}
		})
	})
}

func (x *excess) protoValue(t reflect.Type, data []byte, path *fields.Path) {
	if t != reflect.TypeFor[resource.Quantity]() {
		x.message(t, data, path)
		return
	}
	eachField(data, func(number uint64, text []byte) {
		if number == 1 && !isBoundedQuantity(string(text)) {
			x.add(path, string(text), quantityLength)
		}
	})
}

// eachField calls f for each field of a message that has a length: texts and messages.
func eachField(data []byte, f func(number uint64, value []byte)) {
	for len(data) > 0 {
		key, n := binary.Uvarint(data)
		if n <= 0 {
			return
		}
		data = data[n:]
		size, n := uint64(0), 0
		switch key & 7 {
		case 0:
			_, n = binary.Uvarint(data)
		case 1:
			n = 8
		case 5:
			n = 4
		case 2:
			size, n = binary.Uvarint(data)
		}
		if n <= 0 || n > len(data) || size > uint64(len(data)-n) {
			return
		}
		if data = data[n:]; key&7 == 2 {
			f(key>>3, data[:size])
			data = data[size:]
		}
	}
}

var protoTypes sync.Map // reflect.Type -> map[uint64]protoField

// protoFields are the fields of a message type that are quantities or hold some, by number.
func protoFields(t reflect.Type) map[uint64]protoField {
	if known, ok := protoTypes.Load(t); ok {
		return known.(map[uint64]protoField)
	}
	found := map[uint64]protoField{}
	for i := range t.NumField() {
		f := t.Field(i)
		parts := strings.Split(f.Tag.Get("protobuf"), ",")
		if len(parts) < 2 {
			continue
		}
		number, err := strconv.ParseUint(parts[1], 10, 32)
		elem := f.Type
		keys, list := elem.Kind() == reflect.Map, elem.Kind() == reflect.Slice
		for elem.Kind() == reflect.Pointer || elem.Kind() == reflect.Slice || elem.Kind() == reflect.Map {
			elem = elem.Elem()
		}
		if err == nil && holdsQuantities(elem, map[reflect.Type]bool{}) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			found[number] = protoField{name: name, elem: elem, keys: keys, list: list}
		}
	}
	protoTypes.Store(t, found)
	return found
}

func holdsQuantities(t reflect.Type, seen map[reflect.Type]bool) bool {
	switch {
	case t == reflect.TypeFor[resource.Quantity]():
		return true
	case seen[t]:
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return holdsQuantities(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if holdsQuantities(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}
