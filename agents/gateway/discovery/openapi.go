package discovery

import (
	"net/http"
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

// openapiCache holds the documents that were made so far: each is made when first asked for.
type openapiCache struct {
	mu   sync.Mutex // guards made
	made map[string]document
}

type document struct {
	body []byte
	err  error
}

// get returns the document of a name, made by build the first time.
func (c *openapiCache) get(name string, build func() ([]byte, error)) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, ok := c.made[name]
	if !ok {
		d.body, d.err = build()
		if c.made == nil {
			c.made = map[string]document{}
		}
		c.made[name] = d
	}
	return d.body, d.err
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
	body, err := d.openapi.get("v3", func() ([]byte, error) { return openapi.V3Index(d.described()) })
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", request.JSONType)
	return encode.Cached(w, r.Request, body)
}

// OpenAPIV3 answers /openapi/v3/<path of a group version>. The index's URLs carry a hash of the content, so what is
// asked for by it never changes.
func (d *Documents) OpenAPIV3(w http.ResponseWriter, r *request.Request) error {
	path := strings.TrimPrefix(strings.TrimSuffix(r.Path, "/"), "/openapi/v3/")
	if !d.servesVersion(path) {
		return request.NotFound()
	}
	body, err := d.openapi.get("v3/"+path, func() ([]byte, error) {
		body, ok := openapi.V3(d.described(), path)
		if !ok {
			return nil, request.NotFound()
		}
		return body, nil
	})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", request.JSONType)
	return encode.Cached(w, r.Request, body)
}

// servesVersion tells whether path ("api/v1", "apis/apps/v1") is one that is served, so that only those are cached.
func (d *Documents) servesVersion(path string) bool {
	for gv := range d.lists {
		if gv.Group == "" && path == "api/"+gv.Version || path == "apis/"+gv.String() {
			return true
		}
	}
	return false
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
