package encode

import (
	"bufio"
	"net/http"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/gateway/request"
	"gantry/registry"
)

// protobufList is a list that is written item by item: only the sizes of its items are held. Items are made twice, to be measured
// and to be written.
type protobufList struct {
	apiVersion, kind string
	meta             metav1.ListMeta
	metaTag, itemTag byte // which of them is written first; the lists of meta.k8s.io/v1beta1 are the other way round
	items            []*registry.Item
	sizes            []int // of the items
	size             int   // of the list's message
	message          func(*registry.Item) (message, error)
}

// newProtobufList measures a list.
func newProtobufList(r *request.Request, l registry.List) (*protobufList, error) {
	v := r.Resource.Version
	p := &protobufList{
		apiVersion: v.APIVersion(), kind: v.ListKind(), metaTag: tag1, itemTag: tag2, items: l.Items, sizes: make([]int, len(l.Items)),
		meta: metav1.ListMeta{ResourceVersion: strconv.FormatInt(l.Revision, 10), Continue: l.Continue},
		message: func(it *registry.Item) (message, error) {
			obj, err := it.ObjectAs(r.Context(), v)
			if err != nil {
				return nil, err
			}
			return messageOf(obj)
		},
	}
	if l.Continue != "" {
		p.meta.RemainingItemCount = l.Remaining
	}
	if r.Shape.As != "" {
		p.apiVersion, p.kind = "meta.k8s.io/"+r.Shape.Version, r.Shape.As
		p.message = func(it *registry.Item) (message, error) { return partialMessage(it.JSON) }
		if r.Shape.Version == "v1beta1" {
			p.metaTag, p.itemTag = tag2, tag1
		}
	} else if err := registry.ConvertItems(r.Context(), l.Items, v); err != nil {
		return nil, err
	}
	p.size = fieldSize(p.meta.Size())
	for i, it := range p.items {
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		m, err := p.message(it)
		if err != nil {
			return nil, err
		}
		p.sizes[i] = m.Size()
		p.size += fieldSize(p.sizes[i])
	}
	return p, nil
}

// writeTo writes the whole, in pieces of one item.
func (p *protobufList) writeTo(w *bufio.Writer) error {
	b := appendUnknown(nil, p.apiVersion, p.kind, p.size)
	var err error
	if p.metaTag < p.itemTag {
		if b, err = p.appendMeta(b); err != nil {
			return err
		}
	}
	for i, it := range p.items {
		m, err := p.message(it)
		if err != nil {
			return err
		}
		if b, err = appendMessage(appendField(b, p.itemTag, p.sizes[i]), m, p.sizes[i]); err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		b = b[:0]
	}
	if p.metaTag > p.itemTag {
		if b, err = p.appendMeta(b); err != nil {
			return err
		}
	}
	_, _ = w.Write(append(b, unknownTail...)) // errors of w stick
	return w.Flush()
}

func (p *protobufList) appendMeta(b []byte) ([]byte, error) {
	size := p.meta.Size()
	return appendMessage(appendField(b, p.metaTag, size), &p.meta, size)
}

// length is the length of the whole in bytes.
func (p *protobufList) length() int {
	return len(appendUnknown(nil, p.apiVersion, p.kind, p.size)) + p.size + len(unknownTail)
}

// send writes the list as an answer.
func (p *protobufList) send(w http.ResponseWriter, req *http.Request) error {
	w.Header().Set("Content-Type", request.ProtobufType)
	return sendChunks(w, req, p.length(), p.writeTo)
}
