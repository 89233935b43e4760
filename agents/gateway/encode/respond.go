package encode

import (
	"compress/gzip"
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"gantry/agents/gateway/request"
	"gantry/registry"
	"gantry/schema"
)

// gzipFrom is the size from which an answer is deflated for clients that take it.
const gzipFrom = 128 << 10 // bytes

// Item writes one object: its cached bytes, unless another shape was asked for.
func Item(w http.ResponseWriter, r *request.Request, code int, item *registry.Item) error {
	data, err := itemBytes(r, item)
	if err != nil {
		return err
	}
	if item.Revision != 0 { // it is stored
		w.Header().Set("ETag", request.ETag(item.Revision))
	}
	return sendBytes(w, r, code, data)
}

// itemBytes is one object in protobuf where that was asked for, otherwise its JSON.
func itemBytes(r *request.Request, item *registry.Item) ([]byte, error) {
	switch {
	case r.Shape.As == partialListKind:
		return nil, noList(r.Resource.Version)
	case r.Shape.Protobuf:
		return protobufItem(nil, r, item)
	case r.Shape.As == tableKind:
		return tableOfItem(r, item)
	case r.Shape.As == partialKind:
		return appendPartial(nil, item.JSON, r.Shape.Version)
	}
	return item.As(r.Context(), r.Resource.Version)
}

// Object writes a Go object: a Status, a review, a Scale. What has metadata is written in the shape asked for.
func Object(w http.ResponseWriter, r *request.Request, code int, obj any) error {
	b, err := objectBytes(r, obj)
	if err != nil {
		return err
	}
	return sendBytes(w, r, code, b)
}

// objectBytes is an object in protobuf where that was asked for, otherwise its JSON.
func objectBytes(r *request.Request, obj any) ([]byte, error) {
	if o, ok := obj.(schema.Object); ok && r.Shape.As != "" {
		return shapedObject(r, o)
	}
	if r.Shape.Protobuf {
		return protobufOf(obj)
	}
	if text, ok := obj.(json.RawMessage); ok {
		return text, nil
	}
	return json.Marshal(obj)
}

// shapedObject is an object that is no item as something else than itself.
func shapedObject(r *request.Request, obj schema.Object) ([]byte, error) {
	data, err := json.Marshal(obj)
	switch {
	case err != nil:
		return nil, err
	case r.Shape.As == partialListKind:
		return nil, noList(bodyOf(r))
	case r.Shape.Protobuf:
		return appendPartialProtobuf(nil, data, r.Shape.Version)
	case r.Shape.As == tableKind:
		return tableOfObject(r, obj, data)
	}
	return appendPartial(nil, data, r.Shape.Version)
}

// bodyOf is what the request's answer shows.
func bodyOf(r *request.Request) *schema.Version {
	if r.Sub != nil {
		return r.Sub.BodyOf(r.Resource.Version)
	}
	return r.Resource.Version
}

// sendBytes writes a body in the shape asked for: protobuf as it is, or JSON.
func sendBytes(w http.ResponseWriter, r *request.Request, code int, body []byte) error {
	var err error
	switch {
	case r.Shape.Protobuf:
	case r.Shape.YAML:
		body, err = toYAML(r.Context(), body)
	case r.Shape.Pretty:
		body, err = indent(body)
	}
	if err != nil {
		return err
	}
	if h := w.Header(); h.Get("Content-Type") == "" {
		h.Set("Content-Type", r.Shape.ContentType())
	}
	return sendWhole(w, r.Request, code, body)
}

// sendWhole writes a body whose Content-Type is set, deflated where that pays.
func sendWhole(w http.ResponseWriter, req *http.Request, code int, body []byte) error {
	if len(body) >= gzipFrom && acceptsGzip(req) {
		return sendGzip(w, code, func(z *gzip.Writer) error {
			_, err := z.Write(body)
			return err
		})
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	_, err := w.Write(body)
	return err
}

var deflaters = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is a valid constant
	return z
}}

// sendGzip writes what fill writes, deflated. The length is not known, so it goes in chunks.
func sendGzip(w http.ResponseWriter, code int, fill func(*gzip.Writer) error) error {
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Add("Vary", "Accept-Encoding")
	w.WriteHeader(code)
	z := deflaters.Get().(*gzip.Writer)
	defer deflaters.Put(z)
	z.Reset(w)
	if err := fill(z); err != nil {
		return err
	}
	return z.Close()
}

func acceptsGzip(req *http.Request) bool {
	for _, part := range strings.Split(req.Header.Get("Accept-Encoding"), ",") {
		coding, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if coding == "gzip" && strings.ReplaceAll(params, " ", "") != "q=0" {
			return true
		}
	}
	return false
}

// Document writes a JSON document of a media type of its own.
func Document(w http.ResponseWriter, r *request.Request, contentType string, obj any) error {
	b, err := json.Marshal(obj)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", contentType)
	return sendWhole(w, r.Request, http.StatusOK, b)
}

// Cached writes a document under its hash as ETag, or that it has not changed.
func Cached(w http.ResponseWriter, req *http.Request, body []byte) error {
	if SameDocument(w, req, body) {
		return nil
	}
	return sendWhole(w, req, http.StatusOK, body)
}

// SameDocument answers that a document has not changed where the client has it; otherwise it sets the headers of the answer to come.
func SameDocument(w http.ResponseWriter, req *http.Request, body []byte) bool {
	return SameHash(w, req, fmt.Sprintf("%X", sha512.Sum512(body)))
}

// SameHash is SameDocument of a document with a hash.
func SameHash(w http.ResponseWriter, req *http.Request, hash string) bool {
	tag := `"` + hash + `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "public")
	if strings.Contains(req.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return true
	}
	return false
}
