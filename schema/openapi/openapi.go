// Package openapi describes resources to clients: as one Swagger 2.0 document (V2, Protobuf) and
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
	"maps"
	"net/url"
	"slices"

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

// Resource is what is described: a kind in one of its versions, and what can be asked of it.
type Resource struct {
	Kind         *schema.Kind
	Version      *schema.Version
	Verbs        []string
	Subresources []schema.Subresource
}

// V2 is the Swagger 2.0 document of resources, JSON.
func V2(resources []Resource) ([]byte, error) {
	m := newModels("#/definitions/", false, kindsOf(resources, registered))
	s := shared{parameters: object{}, names: map[string]string{}}
	paths := object{}
	for path, operations := range pathsOf(resources) {
		var err error
		if paths[path], err = s.pathV2(m, operations); err != nil {
			return nil, fmt.Errorf("describing %s: %w", path, err)
		}
	}
	return encode(object{
		"swagger":             "2.0",
		"info":                object{"title": documentTitle, "version": documentVersion},
		"paths":               paths,
		"definitions":         m.definitions,
		"parameters":          s.parameters,
		"securityDefinitions": object{"BearerToken": bearerToken},
		"security":            []any{object{"BearerToken": []string{}}},
	})
}

var bearerToken = object{"type": "apiKey", "name": "authorization", "in": "header", "description": "Bearer Token authentication"}

// pathsOf are the operations of all paths.
func pathsOf(resources []Resource) map[string][]operation {
	all := pagesOf(resources)
	for _, r := range resources {
		maps.Copy(all, operationsOf(r))
	}
	return all
}

// Protobuf is a Swagger document in the protobuf form that client-go, and so kubectl, asks for.
func Protobuf(swagger []byte) ([]byte, error) {
	document, err := openapi_v2.ParseDocument(swagger)
	if err != nil {
		return nil, fmt.Errorf("parsing the swagger document: %w", err)
	}
	return proto.Marshal(document)
}

// V3 is the OpenAPI 3.0 document of one group and version, or of what is not of any, JSON; path is as in the index: "api/v1",
// "apis/apps/v1", "apis/apps", "version". found is false where there is none.
func V3(resources []Resource, path string) (document []byte, found bool) {
	var own []Resource
	for _, r := range resources {
		if GroupPath(r.Version) == path {
			own = append(own, r)
		}
	}
	all := pagesOf(resources)
	maps.DeleteFunc(all, func(page string, _ []operation) bool { return documentOf(page) != path })
	for _, r := range own {
		maps.Copy(all, operationsOf(r))
	}
	if len(all) == 0 {
		return nil, false
	}
	m := newModels("#/components/schemas/", true, kindsOf(resources, versionsAt(path)))
	paths := object{}
	for p, operations := range all {
		paths[p] = pathV3(m, operations)
	}
	components := object{"securitySchemes": object{"BearerToken": bearerToken}}
	if len(m.definitions) > 0 {
		components["schemas"] = m.definitions
	}
	document, err := encode(object{
		"openapi":    "3.0.0",
		"info":       object{"title": documentTitle, "version": documentVersion},
		"paths":      paths,
		"components": components,
	})
	return document, err == nil
}

// V3Paths are the paths of the version 3 documents, sorted.
func V3Paths(resources []Resource) []string {
	all := map[string]bool{}
	for page := range pagesOf(resources) {
		all[documentOf(page)] = true
	}
	for _, r := range resources {
		all[GroupPath(r.Version)] = true // custom kinds have no page
	}
	return slices.Sorted(maps.Keys(all))
}

// V3Index names the V3 documents, each with the Hash of its content: clients cache a document for as long as its
// address stays. hash returns that of a document by its path.
func V3Index(paths []string, hash func(path string) (string, error)) ([]byte, error) {
	all := object{}
	for _, path := range paths {
		h, err := hash(path)
		if err != nil {
			return nil, fmt.Errorf("describing %s: %w", path, err)
		}
		address := "/openapi/v3/" + path
		if h != "" {
			address += "?hash=" + url.QueryEscape(h)
		}
		all[path] = object{"serverRelativeURL": address}
	}
	return encode(object{"paths": all})
}

// Hash is that of a document's content.
func Hash(document []byte) string { return fmt.Sprintf("%X", sha512.Sum512(document)) }

// GroupPath is "api/v1" or "apis/<group>/<version>".
func GroupPath(v *schema.Version) string {
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
