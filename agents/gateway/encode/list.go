package encode

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync"

	"gantry/agents/gateway/request"
	"gantry/registry"
)

// List writes a list in the shape asked for.
func List(w http.ResponseWriter, r *request.Request, l registry.List) error {
	if r.Shape.As != "" || r.Shape.Protobuf {
		return shapedList(w, r, l)
	}
	v := r.Resource.Version
	items, err := registry.ItemsAs(r.Context(), l.Items, v)
	if err != nil {
		return err
	}
	head := listHead(v.ListKind(), v.APIVersion(), l)
	if v.IsUnstructured() && l.Continue == "" {
		head = bytes.Replace(head, []byte(`"metadata":{`), []byte(`"metadata":{"continue":"",`), 1) // as Kubernetes, which sets it in any case
	}
	body := listBody{head: head, items: items}
	if r.Shape.YAML || r.Shape.Pretty {
		return sendBytes(w, r, http.StatusOK, body.bytes())
	}
	if l.Whole && registry.AreIn(l.Items, v) && acceptsGzip(r.Request) && body.size() >= gzipFrom {
		w.Header().Set("Content-Type", request.JSONType)
		return sendBlocks(w, body.head, l)
	}
	return body.send(w, r.Request)
}

// shapedList writes a list in protobuf or as something else than itself.
func shapedList(w http.ResponseWriter, r *request.Request, l registry.List) error {
	var b []byte
	var err error
	switch {
	case r.Shape.As == partialKind:
		err = isList(r.Resource.Version)
	case r.Shape.Protobuf:
		p, err := newProtobufList(r, l)
		if err != nil {
			return err
		}
		return p.send(w, r.Request)
	case r.Shape.As == tableKind:
		b, err = tableOfList(r, l)
	default:
		b, err = partialList(l, r.Shape.Version)
	}
	if err != nil {
		return err
	}
	return sendBytes(w, r, http.StatusOK, b)
}

// listBody is a list's JSON in pieces: {"kind":...,"metadata":{...},"items":[  item , item  ]}. The items are the
// cache's bytes, which are copied once at most.
type listBody struct {
	head  []byte
	items []*registry.Item
}

const listTail = "]}"

// listHead is everything before the first item.
func listHead(kind, apiVersion string, l registry.List) []byte {
	b := make([]byte, 0, 256)
	b = append(b, `{"kind":"`...)
	b = append(b, kind...)
	b = append(b, `","apiVersion":"`...)
	b = append(b, apiVersion...)
	b = append(b, `","metadata":`...)
	b = appendListMeta(b, l)
	return append(b, `,"items":[`...)
}

// appendListMeta appends a list's metadata. What is not stored has no revision.
func appendListMeta(b []byte, l registry.List) []byte {
	if l.Revision == 0 {
		return append(b, "{}"...)
	}
	b = append(b, `{"resourceVersion":"`...)
	b = strconv.AppendInt(b, l.Revision, 10)
	b = append(b, '"')
	if l.Continue != "" {
		token, _ := json.Marshal(l.Continue) // a string always marshals
		b = append(append(b, `,"continue":`...), token...)
		if l.Remaining != nil {
			b = append(b, `,"remainingItemCount":`...)
			b = strconv.AppendInt(b, *l.Remaining, 10)
		}
	}
	return append(b, '}')
}

// size is the length of the whole in bytes.
func (l listBody) size() int {
	n := len(l.head) + len(listTail) + max(0, len(l.items)-1)
	for _, it := range l.items {
		n += len(it.JSON)
	}
	return n
}

// writeTo writes the whole; errors of w stick, so only the last is looked at.
func (l listBody) writeTo(w *bufio.Writer) error {
	_, _ = w.Write(l.head)
	for i, it := range l.items {
		if i > 0 {
			_ = w.WriteByte(',')
		}
		_, _ = w.Write(it.JSON)
	}
	_, _ = w.WriteString(listTail)
	return w.Flush()
}

// bytes is the whole in one piece.
func (l listBody) bytes() []byte {
	b := make([]byte, 0, l.size())
	b = append(b, l.head...)
	for i, it := range l.items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, it.JSON...)
	}
	return append(b, listTail...)
}

// listChunk is how much of a list one write carries: large writes cost HTTP/2 and TLS least.
const listChunk = 128 << 10 // bytes

var chunks = sync.Pool{New: func() any { return &chunk{bufio.NewWriterSize(io.Discard, listChunk)} }}

// chunk gathers small writes into large ones.
type chunk struct{ *bufio.Writer }

func chunkTo(w io.Writer) *chunk {
	c := chunks.Get().(*chunk)
	c.Reset(w)
	return c
}

func (c *chunk) free() {
	c.Reset(io.Discard) // the pool must not hold a connection
	chunks.Put(c)
}

// send writes the list as an answer.
func (l listBody) send(w http.ResponseWriter, req *http.Request) error {
	w.Header().Set("Content-Type", request.JSONType)
	return sendChunks(w, req, l.size(), l.writeTo)
}

// sendChunks writes an answer of a known size in large pieces, deflated where that pays. Its Content-Type is set.
func sendChunks(w http.ResponseWriter, req *http.Request, size int, fill func(*bufio.Writer) error) error {
	if size >= gzipFrom && acceptsGzip(req) {
		return sendGzip(w, http.StatusOK, func(z *gzip.Writer) error {
			buf := chunkTo(z)
			defer buf.free()
			return fill(buf.Writer)
		})
	}
	w.Header().Set("Content-Length", strconv.Itoa(size))
	w.WriteHeader(http.StatusOK)
	buf := chunkTo(w)
	defer buf.free()
	return fill(buf.Writer)
}
