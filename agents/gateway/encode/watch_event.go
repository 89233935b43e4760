package encode

import (
	"strconv"
	"time"

	"gantry/agents/gateway/request"
	"gantry/registry"
)

// EventFramer writes events in the shape that the client asked for.
type EventFramer struct {
	r     *request.Request
	table *tableWriter // nil: not a table
	begun bool         // the table's columns have been sent
}

func NewEventFramer(r *request.Request) (*EventFramer, error) {
	f := &EventFramer{r: r}
	if r.Shape.As == "Table" {
		t, err := newTableWriter(r)
		if err != nil {
			return nil, err
		}
		f.table = t
	}
	return f, nil
}

// Shaped returns whether events are encoded anew instead of being the bytes that the cache holds.
func (f *EventFramer) Shaped() bool {
	return f.r.Shape.As != "" || f.r.Resource.Version != f.r.Kind.Stored()
}

// Append appends one event: {"type":"ADDED","object":{...}} and a newline.
func (f *EventFramer) Append(b []byte, ev *registry.Event) ([]byte, error) {
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

func (f *EventFramer) reshape(ev *registry.Event) ([]byte, error) {
	item := ev.Item
	if item == nil {
		if f.r.Shape.As == "" {
			return f.bookmark(ev), nil
		}
		item = &registry.Item{Kind: f.r.Kind, Revision: ev.Revision, JSON: f.bookmark(ev)}
	}
	if f.table == nil {
		return appendPartial(nil, item.JSON, f.r.Shape.Version)
	}
	columns := !f.begun
	f.begun = true
	f.table.now.Time = time.Now()
	return f.table.table(nil, revisionMeta(ev.Revision), []*registry.Item{item}, columns)
}

// bookmark is an object with nothing but a revision.
func (f *EventFramer) bookmark(ev *registry.Event) []byte {
	b := append([]byte(nil), `{"kind":"`...)
	b = append(b, f.r.Resource.Version.Kind...)
	b = append(b, `","apiVersion":"`...)
	b = append(b, f.r.Resource.Version.APIVersion()...)
	b = append(b, `","metadata":{"resourceVersion":"`...)
	b = strconv.AppendInt(b, ev.Revision, 10)
	b = append(b, `","creationTimestamp":null`...)
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
