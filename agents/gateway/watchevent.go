package gateway

import (
	"strconv"
	"time"

	"gantry/registry"
)

// framer writes events in the shape that the client asked for.
type framer struct {
	r     *request
	table *tabler // nil: not a table
	begun bool    // the table's columns have been sent
}

func newFramer(r *request) (*framer, error) {
	f := &framer{r: r}
	if r.shape.as == "Table" {
		t, err := newTabler(r)
		if err != nil {
			return nil, err
		}
		f.table = t
	}
	return f, nil
}

// shaped tells whether events are made anew, and not the bytes that the cache holds.
func (f *framer) shaped() bool { return f.r.shape.as != "" }

// frame appends one event: {"type":"ADDED","object":{...}} and a newline.
func (f *framer) frame(b []byte, ev *registry.Event) ([]byte, error) {
	if f.r.shape.as == "" && ev.Item != nil {
		return appendFrame(b, string(ev.Type), ev.Item.JSON), nil
	}
	object, err := f.reshape(ev)
	if err != nil {
		return b, err
	}
	return appendFrame(b, string(ev.Type), object), nil
}

func (f *framer) reshape(ev *registry.Event) ([]byte, error) {
	item := ev.Item
	if item == nil {
		if f.r.shape.as == "" {
			return f.bookmark(ev), nil
		}
		item = &registry.Item{Kind: f.r.kind, Revision: ev.Revision, JSON: f.bookmark(ev)}
	}
	if f.table == nil {
		return appendPartial(nil, item.JSON, f.r.shape.version)
	}
	columns := !f.begun
	f.begun = true
	f.table.now.Time = time.Now()
	return f.table.table(nil, revisionMeta(ev.Revision), []*registry.Item{item}, columns)
}

// bookmark is an object that says a revision and nothing else.
func (f *framer) bookmark(ev *registry.Event) []byte {
	b := append([]byte(nil), `{"kind":"`...)
	b = append(b, f.r.kind.Kind...)
	b = append(b, `","apiVersion":"`...)
	b = append(b, f.r.kind.APIVersion()...)
	b = append(b, `","metadata":{"resourceVersion":"`...)
	b = strconv.AppendInt(b, ev.Revision, 10)
	b = append(b, `","creationTimestamp":null`...)
	if ev.InitialEnd {
		b = append(b, `,"annotations":{"k8s.io/initial-events-end":"true"}`...)
	}
	return append(b, "}}"...)
}

func appendFrame(b []byte, kind string, object []byte) []byte {
	return append(append(appendHead(b, kind), object...), frameEnd...)
}

func appendHead(b []byte, kind string) []byte {
	b = append(b, `{"type":"`...)
	b = append(b, kind...)
	return append(b, `","object":`...)
}

const frameEnd = "}\n"
