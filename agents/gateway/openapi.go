package gateway

import (
	"net/http"
	"slices"
	"strings"
	"sync"

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

// openapiV2 answers /openapi/v2.
func (d *documents) openapiV2(w http.ResponseWriter, r *request) error {
	w.Header().Add("Vary", "Accept")
	kind, err := openapiKind(r.Request)
	if err != nil {
		return err
	}
	build := openapi.V2
	if kind != jsonType {
		build = openapi.V2Protobuf
	}
	body, err := d.openapi.get("v2 "+kind, func() ([]byte, error) { return build(d.kinds) })
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", kind)
	return sendCached(w, r.Request, body)
}

// openapiKind picks the form of the version 2 document.
func openapiKind(req *http.Request) (string, error) {
	header := req.Header.Values("Accept")
	if slices.ContainsFunc(header, func(h string) bool { return strings.Contains(h, openapiProto) }) {
		return openapiProtoOld, nil // kubectl up to 1.27 or so; the at sign is not mime's, so parseAccept leaves it out
	}
	accept := parseAccept(header)
	if len(accept) == 0 {
		return jsonType, nil
	}
	for _, c := range accept {
		switch c.media {
		case openapiProtoOld:
			return openapiProtoOld, nil // and never the other: Go's mime, and so client-go, can't parse its at sign
		case jsonType, "*/*", "application/*":
			return jsonType, nil
		}
	}
	return "", notAcceptable(openapiProtoOld, openapiProto, jsonType)
}

// openapiIndex answers /openapi/v3.
func (d *documents) openapiIndex(w http.ResponseWriter, r *request) error {
	body, err := d.openapi.get("v3", func() ([]byte, error) { return openapi.V3Index(d.kinds) })
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", jsonType)
	return sendCached(w, r.Request, body)
}

// openapiV3 answers /openapi/v3/<path of a group version>. The index's URLs carry a hash of the content, so what is
// asked for by it never changes.
func (d *documents) openapiV3(w http.ResponseWriter, r *request) error {
	path := strings.TrimPrefix(strings.TrimSuffix(r.path, "/"), "/openapi/v3/")
	if !d.servesVersion(path) {
		return notFoundPage()
	}
	body, err := d.openapi.get("v3/"+path, func() ([]byte, error) {
		body, ok := openapi.V3(d.kinds, path)
		if !ok {
			return nil, notFoundPage()
		}
		return body, nil
	})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", jsonType)
	return sendCached(w, r.Request, body)
}

// servesVersion tells whether path ("api/v1", "apis/apps/v1") is one that is served, so that only those are cached.
func (d *documents) servesVersion(path string) bool {
	for _, gv := range d.versions {
		if gv.Group == "" && path == "api/"+gv.Version || path == "apis/"+gv.String() {
			return true
		}
	}
	return false
}
