package encode

import (
	"encoding/json"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/gateway/request"
	"gantry/registry"
	"gantry/schema"
)

// EventFramer writes events in the shape that the client asked for.
type EventFramer struct {
	r     *request.Request
	table *tableWriter // nil: not a table
	begun bool         // the table's columns have been sent
}

func NewEventFramer(r *request.Request) (*EventFramer, error) {
	f := &EventFramer{r: r}
	switch r.Shape.As {
	case partialListKind:
		return nil, noList(r.Resource.Version)
	case tableKind:
		t, err := newTableWriter(r)
		if err != nil {
			return nil, err
		}
		f.table = t
	}
	return f, nil
}

// ContentType is the media type of the stream.
func (f *EventFramer) ContentType() string {
	if f.r.Shape.Protobuf {
		return request.ProtobufType + ";stream=watch"
	}
	return request.JSONType
}

// Shaped returns whether events are encoded anew instead of being the bytes that the cache holds.
func (f *EventFramer) Shaped() bool {
	return f.r.Shape.As != "" || f.r.Shape.Protobuf || f.r.Kind.AsWritten || f.r.Resource.Version != f.r.Kind.Stored()
}

// Convert makes the objects of events in the version that the client asked for, with one conversion for all.
func (f *EventFramer) Convert(events []registry.Event) error {
	if !f.converts() {
		return nil
	}
	var items []*registry.Item
	for i := range events {
		if it := events[i].Item; it != nil {
			items = append(items, it)
		}
	}
	return registry.ConvertItems(f.r.Context(), items, f.r.Resource.Version)
}

// Converted tells that an event can be written without a conversion.
func (f *EventFramer) Converted(ev *registry.Event) bool {
	return ev.Item == nil || !f.converts() || ev.Item.Has(f.r.Resource.Version)
}

// converts tells that events show more than metadata, which is the same in every version.
func (f *EventFramer) converts() bool { return f.r.Shape.As != partialKind }

// Append appends one event: {"type":"ADDED","object":{...}} and a newline, or a frame in protobuf.
func (f *EventFramer) Append(b []byte, ev *registry.Event) ([]byte, error) {
	if f.r.Shape.Protobuf {
		object, err := f.protobuf(ev)
		if err != nil {
			return b, err
		}
		return appendProtobufEvent(b, string(ev.Type), object), nil
	}
	if f.r.Shape.As == "" && ev.Item != nil {
		object, err := ev.Item.As(f.r.Context(), f.r.Resource.Version)
		if err != nil {
			return b, err
		}
		return AppendEvent(b, string(ev.Type), object), nil
	}
	object, err := f.reshape(ev)
	if err != nil {
		return b, err
	}
	return AppendEvent(b, string(ev.Type), object), nil
}

// AppendError appends the event that ends a stream with an error.
func (f *EventFramer) AppendError(b []byte, fault error) ([]byte, error) {
	status := StatusOf(fault)
	if f.r.Shape.Protobuf {
		object, err := protobufOf(status)
		if err != nil {
			return b, err
		}
		return appendProtobufEvent(b, "ERROR", object), nil
	}
	object, err := json.Marshal(status)
	if err != nil {
		return b, err
	}
	return AppendEvent(b, "ERROR", object), nil
}

// protobuf is an event's object in protobuf.
func (f *EventFramer) protobuf(ev *registry.Event) ([]byte, error) {
	switch {
	case ev.Item != nil:
		return protobufItem(nil, f.r, ev.Item)
	case f.r.Shape.As != "":
		return appendPartialProtobuf(nil, f.bookmark(ev), f.r.Shape.Version)
	}
	return protobufBookmark(nil, f.r.Resource.Version, ev)
}

func (f *EventFramer) reshape(ev *registry.Event) ([]byte, error) {
	item := ev.Item
	if item == nil {
		if f.r.Shape.As == "" {
			return f.fullBookmark(ev)
		}
		item = &registry.Item{Kind: f.r.Kind, Revision: ev.Revision, JSON: f.bookmark(ev)}
	}
	if f.table == nil {
		return appendPartial(nil, item.JSON, f.r.Shape.Version)
	}
	columns := !f.begun
	f.begun = true
	f.table.now.Time, f.table.showMetadata = time.Now(), ev.InitialEnd
	return f.table.table(nil, revisionMeta(ev.Revision), []*registry.Item{item}, columns)
}

// fullBookmark is a bookmark with the fields that an object of its type always has.
func (f *EventFramer) fullBookmark(ev *registry.Event) ([]byte, error) {
	v := f.r.Resource.Version
	if v.IsUnstructured() {
		return f.bookmark(ev), nil
	}
	obj := v.New()
	v.SetTypeMeta(obj)
	obj.SetResourceVersion(strconv.FormatInt(ev.Revision, 10))
	if ev.InitialEnd {
		obj.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	}
	return schema.Encode(obj)
}

// bookmark is an object with nothing but a revision.
func (f *EventFramer) bookmark(ev *registry.Event) []byte {
	b := append([]byte(nil), `{"kind":"`...)
	b = append(b, f.r.Resource.Version.Kind...)
	b = append(b, `","apiVersion":"`...)
	b = append(b, f.r.Resource.Version.APIVersion()...)
	b = append(b, `","metadata":{"resourceVersion":"`...)
	b = strconv.AppendInt(b, ev.Revision, 10)
	b = append(b, '"')
	if ev.InitialEnd {
		b = append(b, `,"annotations":{"k8s.io/initial-events-end":"true"}`...)
	}
	return append(b, "}}"...)
}

func AppendEvent(b []byte, kind string, object []byte) []byte {
	return append(append(AppendEventHead(b, kind), object...), EventEnd...)
}

func AppendEventHead(b []byte, kind string) []byte {
	b = append(b, `{"type":"`...)
	b = append(b, kind...)
	return append(b, `","object":`...)
}

const EventEnd = "}\n"
