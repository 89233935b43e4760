package discovery

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/munnerz/goautoneg"

	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/schema/openapi"
)

// The protobuf form of the version 2 document, which kubectl asks for, under both its names.
const (
	openapiProto    = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
	openapiProtoOld = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
)

// openapiCache holds the documents that were made so far, compressed: each is made when first asked for.
type openapiCache struct {
	mu   sync.Mutex // guards made
	made map[string]document
}

type document struct {
	compressed []byte
	err        error
}

// get returns the document of a name, made by build the first time.
func (c *openapiCache) get(name string, build func() ([]byte, error)) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held(name, build)
}

// held is get where mu is held.
func (c *openapiCache) held(name string, build func() ([]byte, error)) ([]byte, error) {
	if d, ok := c.made[name]; ok {
		if d.err != nil {
			return nil, d.err
		}
		return decompress(d.compressed)
	}
	body, err := build()
	d := document{err: err}
	if err == nil {
		d.compressed, d.err = compress(body)
	}
	if c.made == nil {
		c.made = map[string]document{}
	}
	c.made[name] = d
	return body, d.err
}

func compress(body []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return bytes.Clone(b.Bytes()), nil
}

func decompress(compressed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// OpenAPIV2 answers /openapi/v2.
func (d *Documents) OpenAPIV2(w http.ResponseWriter, r *request.Request) error {
	w.Header().Add("Vary", "Accept")
	kind, err := openapiKind(r.Request)
	if err != nil {
		w.WriteHeader(http.StatusNotAcceptable) // without a body, as Kubernetes does
		return nil
	}
	build := openapi.V2
	if kind != request.JSONType {
		build = openapi.V2Protobuf
	}
	body, err := d.openapi.get("v2 "+kind, func() ([]byte, error) { return build(d.described()) })
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", kind)
	return encode.Cached(w, r.Request, body)
}

// openapiKind picks the form of the version 2 document.
func openapiKind(req *http.Request) (string, error) {
	accept := req.Header.Get("Accept")
	if accept == "" {
		return request.JSONType, nil
	}
	for _, c := range goautoneg.ParseAccept(accept) {
		switch c.Type + "/" + c.SubType {
		case openapiProtoOld, openapiProto: // the latter from kubectl up to 1.27 or so
			return openapiProtoOld, nil // never the other: Go's mime, and so client-go, cannot parse its at sign
		case request.JSONType, "*/*", "application/*":
			return request.JSONType, nil
		}
	}
	return "", request.NotAcceptable(openapiProtoOld, openapiProto, request.JSONType)
}

// OpenAPIIndex answers /openapi/v3.
func (d *Documents) OpenAPIIndex(w http.ResponseWriter, r *request.Request) error {
	body, err := d.openapi.get("v3", func() ([]byte, error) {
		all := d.described()
		return openapi.V3Index(openapi.V3Paths(all), func(path string) ([]byte, error) {
			return d.openapi.held("v3/"+path, func() ([]byte, error) { return describe(all, path) })
		})
	})
	if err != nil {
		return err
	}
	if encode.SameDocument(w, r.Request, body) {
		return nil
	}
	w.Header().Set("Cache-Control", "no-cache, private")
	return encode.Document(w, r, "text/plain; charset=utf-8", json.RawMessage(body)) // as Kubernetes does
}

// OpenAPIV3 answers /openapi/v3/<path of a document>. The index's URLs carry a hash of the content, so what is
// asked for by it never changes.
func (d *Documents) OpenAPIV3(w http.ResponseWriter, r *request.Request) error {
	path := strings.TrimPrefix(strings.TrimSuffix(r.Path, "/"), "/openapi/v3/")
	all := d.described()
	if !slices.Contains(openapi.V3Paths(all), path) { // only those that are served are cached
		w.WriteHeader(http.StatusNotFound) // without a body, as Kubernetes does
		return nil
	}
	body, err := d.openapi.get("v3/"+path, func() ([]byte, error) { return describe(all, path) })
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", request.JSONType)
	return encode.Cached(w, r.Request, body)
}

func describe(all []openapi.Resource, path string) ([]byte, error) {
	body, ok := openapi.V3(all, path)
	if !ok {
		return nil, request.NotFound()
	}
	return body, nil
}

// described are the resources as package openapi takes them. Versions without a Go type are left out.
func (d *Documents) described() (all []openapi.Resource) {
	for _, res := range d.resources {
		if res.Version.IsUnstructured() {
			continue
		}
		one := openapi.Resource{Kind: res.Kind, Version: res.Version, Verbs: res.Handlers.Verbs()}
		for _, s := range res.Subresources {
			one.Subresources = append(one.Subresources, s.Subresource)
		}
		all = append(all, one)
	}
	return all
}
