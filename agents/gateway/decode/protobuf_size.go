package decode

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"gantry/schema"
)

// checkMessages refuses a message in protobuf that consists of more than schema.MaxObjects messages, which take two bytes each
// and become Go structs of some hundred. A malformed message is left to the decoder.
func checkMessages(data []byte, into any) error {
	const shortest = 2 // bytes: a tag and a length
	if len(data) < shortest*schema.MaxObjects {
		return nil
	}
	if n := messagesOf(reflect.TypeOf(into)).count(data); n > schema.MaxObjects {
		return fmt.Errorf("the document has %d objects, limit is %d", n, schema.MaxObjects)
	}
	return nil
}

// messageFields are the fields of a message that are messages themselves, by number.
type messageFields map[uint64]reflect.Type

var knownMessages sync.Map // of reflect.Type to messageFields

// messagesOf reads the tags that k8s.io/api's types have: `protobuf:"bytes,2,rep,name=containers"`.
func messagesOf(t reflect.Type) messageFields {
	t = elementType(t)
	if known, ok := knownMessages.Load(t); ok {
		return known.(messageFields)
	}
	fields := messageFields{}
	if t.Kind() == reflect.Struct {
		for i := range t.NumField() {
			parts := strings.Split(t.Field(i).Tag.Get("protobuf"), ",")
			if len(parts) < 2 || parts[0] != "bytes" {
				continue
			}
			number, err := strconv.ParseUint(parts[1], 10, 32)
			if of := elementType(t.Field(i).Type); err == nil && (of.Kind() == reflect.Struct || of.Kind() == reflect.Map) {
				fields[number] = of
			}
		}
	}
	knownMessages.Store(t, fields)
	return fields
}

// elementType is what a field holds one or more of.
func elementType(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t
}

// count is how many messages one consists of.
func (f messageFields) count(data []byte) (n int) {
	for len(data) > 0 && n <= schema.MaxObjects {
		tag, size := binary.Uvarint(data)
		if size <= 0 {
			return n
		}
		data = data[size:]
		const wireType = 7
		switch tag & wireType {
		case 0: // a number
			_, size = binary.Uvarint(data)
		case 1: // eight bytes
			size = 8
		case 5: // four bytes
			size = 4
		case 2: // bytes
			length, at := binary.Uvarint(data)
			if at <= 0 || length > uint64(len(data)-at) {
				return n
			}
			size = at + int(length)
			if of, ok := f[tag>>3]; ok {
				n += 1 + messagesOf(of).count(data[at:size])
			}
		default:
			return n
		}
		if size <= 0 || size > len(data) {
			return n
		}
		data = data[size:]
	}
	return n
}
