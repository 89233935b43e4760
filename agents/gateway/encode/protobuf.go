package encode

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/agents/gateway/request"
	"gantry/registry"
	"gantry/schema"
)

// ProtobufMark stands before every object in protobuf; a runtime.Unknown follows, which holds the object's kind and its message.
const ProtobufMark = "k8s\x00"

// The tags of the fields that are written here: fields 1 to 4 of a message, with a length before their content.
const (
	tag1 byte = 1<<3 | 2
	tag2 byte = 2<<3 | 2
)

// unknownTail are the empty contentEncoding and contentType of a runtime.Unknown.
const unknownTail = "\x1a\x00\x22\x00"

// message is what the types of k8s.io/api have.
type message interface {
	Size() int
	MarshalToSizedBuffer(b []byte) (int, error)
}

// messageOf is an object as a message.
func messageOf(obj any) (message, error) {
	m, ok := obj.(message)
	if !ok {
		return nil, request.NotAcceptable(request.JSONType, request.YAMLType)
	}
	return m, nil
}

// appendMessage appends a message of a known size.
func appendMessage(b []byte, m message, size int) ([]byte, error) {
	start := len(b)
	b = append(b, make([]byte, size)...)
	n, err := m.MarshalToSizedBuffer(b[start:])
	if err == nil && n != size {
		err = errors.New("a message has another size than it says")
	}
	if err != nil {
		return nil, fmt.Errorf("encoding protobuf: %w", err)
	}
	return b, nil
}

// appendField appends what stands before a field's content.
func appendField(b []byte, tag byte, size int) []byte {
	return binary.AppendUvarint(append(b, tag), uint64(size))
}

// fieldSize is the size of a field with its content of some size.
func fieldSize(size int) int { return 1 + (bits.Len64(uint64(size)|1)+6)/7 + size }

// appendUnknown appends what stands before an object's message of some size; unknownTail follows it.
func appendUnknown(b []byte, apiVersion, kind string, size int) []byte {
	b = append(b, ProtobufMark...)
	b = appendField(b, tag1, fieldSize(len(apiVersion))+fieldSize(len(kind)))
	b = append(appendField(b, tag1, len(apiVersion)), apiVersion...)
	b = append(appendField(b, tag2, len(kind)), kind...)
	return appendField(b, tag2, size)
}

// appendProtobuf appends an object in protobuf.
func appendProtobuf(b []byte, apiVersion, kind string, obj any) ([]byte, error) {
	m, err := messageOf(obj)
	if err != nil {
		return nil, err
	}
	size := m.Size()
	b, err = appendMessage(appendUnknown(b, apiVersion, kind, size), m, size)
	return append(b, unknownTail...), err
}

// protobufOf is an object in protobuf, under the kind that it says it is.
func protobufOf(obj any) ([]byte, error) {
	o, ok := obj.(runtime.Object)
	if !ok {
		return nil, request.NotAcceptable(request.JSONType, request.YAMLType)
	}
	apiVersion, kind := o.GetObjectKind().GroupVersionKind().ToAPIVersionAndKind()
	return appendProtobuf(nil, apiVersion, kind, obj)
}

// protobufItem appends an item in the shape asked for.
func protobufItem(b []byte, r *request.Request, item *registry.Item) ([]byte, error) {
	if r.Shape.As != "" {
		return appendPartialProtobuf(b, item.JSON, r.Shape.Version)
	}
	v := r.Resource.Version
	obj, err := item.ObjectAs(r.Context(), v)
	if err != nil {
		return nil, err
	}
	return appendProtobuf(b, v.APIVersion(), v.Kind, obj)
}

// appendPartialProtobuf appends an object's PartialObjectMetadata; object is its JSON.
func appendPartialProtobuf(b, object []byte, version string) ([]byte, error) {
	partial, err := partialMessage(object)
	if err != nil {
		return nil, err
	}
	return appendProtobuf(b, "meta.k8s.io/"+version, "PartialObjectMetadata", partial)
}

// partialMessage reads an object's metadata from its JSON.
func partialMessage(object []byte) (*metav1.PartialObjectMetadata, error) {
	data, err := metadataOf(object)
	if err != nil {
		return nil, err
	}
	partial := &metav1.PartialObjectMetadata{}
	if err := json.Unmarshal(data, &partial.ObjectMeta); err != nil {
		return nil, fmt.Errorf("reading metadata: %w", err)
	}
	return partial, nil
}

// protobufBookmark appends an object with nothing but a revision.
func protobufBookmark(b []byte, v *schema.Version, ev *registry.Event) ([]byte, error) {
	obj := v.New()
	obj.SetResourceVersion(strconv.FormatInt(ev.Revision, 10))
	if ev.InitialEnd {
		obj.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	}
	return appendProtobuf(b, v.APIVersion(), v.Kind, obj)
}

// appendProtobufEvent appends a frame: its length in four bytes, then a metav1.WatchEvent that holds an object in protobuf.
func appendProtobufEvent(b []byte, kind string, object []byte) []byte {
	raw := fieldSize(len(object)) // a runtime.RawExtension
	b = binary.BigEndian.AppendUint32(b, uint32(fieldSize(len(kind))+fieldSize(raw)))
	b = append(appendField(b, tag1, len(kind)), kind...)
	b = appendField(appendField(b, tag2, raw), tag1, len(object))
	return append(b, object...)
}
