// Package openapi describes resources to clients: as one Swagger 2.0 document (V2, V2Protobuf) and
// as one OpenAPI 3.0 document for each group and version (V3, listed by V3Index).
//
// The documents are built by reflection over the Go types of k8s.io/api: the texts are those of SwaggerDoc, the
// patch strategies those of the struct tags, and what the types' comments alone say (list types and keys, enums, defaults)
// is read from markers.txt, which a test keeps equal to the comments. Models have their upstream names, so
// kubectl explain, apply, diff and --validate work as with Kubernetes.
//
// Typed has of the same types what server-side apply needs to merge objects.
//
// Building takes tens of milliseconds and megabytes, the result is bytes: callers build on first use and keep it.
package openapi

import (
	"bytes"
	"crypto/sha512"
	"encoding/json"
	"fmt"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	"google.golang.org/protobuf/proto"

	"gantry/schema"
)

// The content types of the documents. Clients ask for protobuf as V2ProtobufAccept or V2ProtobufType, and the answer must
// be labelled V2ProtobufType: Go's mime package, and so client-go, can't parse the at sign of the former.
const (
	JSON             = "application/json"
	V2ProtobufAccept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
	V2ProtobufType   = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
)

// The info of the documents.
const (
	documentTitle   = "Gantry"
	documentVersion = "v1.36.0" // the Kubernetes version spoken
)

// object is a JSON object.
type object = map[string]any

// Resource is what is described: a kind in one of its versions, which has a Go type, and what can be asked of it.
type Resource struct {
	Kind         *schema.Kind
	Version      *schema.Version
	Verbs        []string
	Subresources []schema.Subresource
}

// V2 is the Swagger 2.0 document of resources, JSON.
func V2(resources []Resource) ([]byte, error) {
	m, err := newModels("#/definitions/", false)
	if err != nil {
		return nil, err
	}
	paths := object{}
	for _, s := range resources {
		for path, operations := range operationsOf(s) {
			paths[path] = pathV2(m, operations)
		}
	}
	return encode(object{
		"swagger":             "2.0",
		"info":                object{"title": documentTitle, "version": documentVersion},
		"paths":               paths,
		"definitions":         m.definitions,
		"securityDefinitions": object{"BearerToken": object{"type": "apiKey", "name": "authorization", "in": "header", "description": "Bearer Token authentication"}},
		"security":            []any{object{"BearerToken": []string{}}},
	})
}

// V2Protobuf is V2 in the protobuf form that client-go, and so kubectl, asks for.
func V2Protobuf(resources []Resource) ([]byte, error) {
	text, err := V2(resources)
	if err != nil {
		return nil, err
	}
	document, err := openapi_v2.ParseDocument(text)
	if err != nil {
		return nil, fmt.Errorf("parsing the swagger document: %w", err)
	}
	return proto.Marshal(document)
}

// V3 is the OpenAPI 3.0 document of one group and version, JSON; path is as in the index: "api/v1",
// "apis/apps/v1". found is false where no resource has such a group and version.
func V3(resources []Resource, path string) (document []byte, found bool) {
	m, err := newModels("#/components/schemas/", true)
	if err != nil {
		return nil, false
	}
	paths := object{}
	for _, s := range resources {
		if groupPath(s.Version) != path {
			continue
		}
		for p, operations := range operationsOf(s) {
			paths[p] = pathV3(m, operations)
		}
	}
	if len(paths) == 0 {
		return nil, false
	}
	document, err = encode(object{
		"openapi": "3.0.0",
		"info":    object{"title": documentTitle, "version": documentVersion},
		"paths":   paths,
		"components": object{
			"schemas":         m.definitions,
			"securitySchemes": object{"BearerToken": object{"type": "apiKey", "name": "authorization", "in": "header", "description": "Bearer Token authentication"}},
		},
		"security": []any{object{"BearerToken": []string{}}},
	})
	return document, err == nil
}

// V3Index names the V3 documents, each with a hash of its content: clients cache a document for as long as its
// address stays.
func V3Index(resources []Resource) ([]byte, error) {
	paths := object{}
	for _, s := range resources {
		path := groupPath(s.Version)
		if paths[path] != nil {
			continue
		}
		document, found := V3(resources, path)
		if !found {
			return nil, fmt.Errorf("describing %s", path)
		}
		paths[path] = object{"serverRelativeURL": fmt.Sprintf("/openapi/v3/%s?hash=%X", path, sha512.Sum512(document))}
	}
	return encode(object{"paths": paths})
}

// groupPath is "api/v1" or "apis/<group>/<version>".
func groupPath(v *schema.Version) string {
	if v.Group == "" {
		return "api/" + v.Version
	}
	return "apis/" + v.Group + "/" + v.Version
}

func encode(document object) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(document); err != nil {
		return nil, err
	}
	return bytes.Clone(bytes.TrimRight(b.Bytes(), "\n")), nil
}
