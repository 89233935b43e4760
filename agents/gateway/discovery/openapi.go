package discovery

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/munnerz/goautoneg"

	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/schema"
	"gantry/schema/openapi"
)

// The protobuf form of the version 2 document, which kubectl asks for, under both its names.
const (
	openapiProto    = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
	openapiProtoOld = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
)

// Cache holds what all Documents of a gateway share: the OpenAPI documents that were made so far, compressed, and what describes a group. Each
// is made when first asked for, and again when a resource that it describes has changed. The zero value is ready.
type Cache struct {
	mu     sync.Mutex // guards made and groups
	made   map[string]document
	groups map[string]*groupDocument
}

type document struct {
	of         []described // the resources that it describes
	parts      string      // the hash of what of extension servers is in it
	compressed []byte
	hash       string // of the content
	err        error
}

// described is a resource in a document.
type described struct {
	kind    *schema.Kind
	version *schema.Version
}

// get returns the document of a name about resources and parts, made by build where it is not held.
func (c *Cache) get(name string, of []openapi.Resource, parts string, build func() ([]byte, error)) ([]byte, error) {
	d, body := c.held(name, of, parts, build)
	if d.err != nil || body != nil {
		return body, d.err
	}
	return decompress(d.compressed)
}

// held is the document itself; body is nil where it was made before.
func (c *Cache) held(name string, of []openapi.Resource, parts string, build func() ([]byte, error)) (d document, body []byte) {
	now := make([]described, len(of))
	for i, r := range of {
		now[i] = described{r.Kind, r.Version}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if d, ok := c.made[name]; ok && d.parts == parts && slices.Equal(d.of, now) {
		return d, nil
	}
	d = document{of: now, parts: parts}
	if body, d.err = build(); d.err == nil {
		d.hash = openapi.Hash(body)
		d.compressed, d.err = compress(body)
	}
	if c.made == nil {
		c.made = map[string]document{}
	}
	c.made[name] = d
	return d, body
}

// keep drops the version 3 documents of other paths.
func (c *Cache) keep(paths []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.made {
		if path, ok := strings.CutPrefix(name, "v3/"); ok {
			if _, found := slices.BinarySearch(paths, path); !found {
				delete(c.made, name)
			}
		}
	}
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
	parts, hash := d.openAPIParts()
	body, err := d.cache.get("v2 "+kind, d.described(), hash, func() ([]byte, error) {
		text, err := openapi.V2(d.described())
		if err != nil {
			return nil, err
		}
		if text, err = openapi.Merge(text, parts); err != nil || kind == request.JSONType {
			return text, err
		}
		return openapi.Protobuf(text)
	})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", kind)
	return encode.Cached(w, r.Request, body)
}

// openAPIParts are the parts of the version 2 document that extension servers have, in the order of their API services' names, and a hash of them.
func (d *Documents) openAPIParts() (parts [][]byte, hash string) {
	h := sha256.New()
	for _, e := range d.inOrder {
		if e.OpenAPI.V2 != nil {
			parts = append(parts, e.OpenAPI.V2)
			fmt.Fprintf(h, "%d ", len(e.OpenAPI.V2))
			h.Write(e.OpenAPI.V2)
		}
	}
	return parts, string(h.Sum(nil))
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
	own := d.paths()
	listed := slices.AppendSeq(slices.Clone(own), maps.Keys(d.openAPIOf))
	slices.Sort(listed)
	body, err := openapi.V3Index(slices.Compact(listed), func(path string) (string, error) {
		if e := d.openAPIOf[path]; e != nil {
			return e.OpenAPI.V3[path], nil
		}
		of, build := d.describe(path)
		made, _ := d.cache.held("v3/"+path, of, "", build)
		return made.hash, made.err
	})
	if err != nil {
		return err
	}
	d.cache.keep(own)
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
	if e := d.openAPIOf[path]; e != nil {
		if e.OpenAPI.Converted == nil {
			return e.Proxy(w, r)
		}
		w.Header().Set("Content-Type", request.JSONType)
		return encode.Cached(w, r.Request, e.OpenAPI.Converted)
	}
	own, build := d.describe(path)
	if len(own) == 0 && !slices.Contains(d.paths(), path) { // only those that are served are cached
		w.WriteHeader(http.StatusNotFound) // without a body, as Kubernetes does
		return nil
	}
	body, err := d.cache.get("v3/"+path, own, "", build)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", request.JSONType)
	return encode.Cached(w, r.Request, body)
}

// describe returns the resources of the version 3 document of a path, and what makes it.
func (d *Documents) describe(path string) (own []openapi.Resource, build func() ([]byte, error)) {
	own = d.byPath()[path]
	from := d.described()
	if alone := d.aloneAt(path, own); alone != nil {
		from = alone
	}
	return own, func() ([]byte, error) {
		body, ok := openapi.V3(from, path)
		if !ok {
			return nil, request.NotFound()
		}
		return body, nil
	}
}

// aloneAt are the resources that the document of a path tells about, where these are custom kinds: nothing else is in it. nil: it is made of all.
func (d *Documents) aloneAt(path string, own []openapi.Resource) []openapi.Resource {
	if len(own) == 0 { // of a group, perhaps
		own = d.byPath()[path+"/"]
	}
	if slices.ContainsFunc(own, func(r openapi.Resource) bool { return !r.Version.IsUnstructured() }) {
		return nil
	}
	return own
}

// byPath are resources by the path of their version's document, "apis/apps/v1", and by that of their group, "apis/apps/".
func byPath(all []openapi.Resource) map[string][]openapi.Resource {
	at := map[string][]openapi.Resource{}
	for _, r := range all {
		path := openapi.GroupPath(r.Version)
		group := path[:strings.LastIndexByte(path, '/')+1]
		at[path], at[group] = append(at[path], r), append(at[group], r)
	}
	return at
}

// describeAll are the resources as package openapi takes them.
func describeAll(resources []*request.Resource) (all []openapi.Resource) {
	for _, res := range resources {
		one := openapi.Resource{Kind: res.Kind, Version: res.Version, Verbs: res.Handlers.Verbs()}
		for _, s := range res.Subresources {
			one.Subresources = append(one.Subresources, s.Subresource)
		}
		all = append(all, one)
	}
	return all
}
