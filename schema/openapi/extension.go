package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/aggregator"
	"k8s.io/kube-openapi/pkg/openapiconv"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// Extension is how an extension server describes its version of a group. It is read-only.
type Extension struct {
	// V2 is the part of its Swagger document that PartOf returns; nil: it has none.
	V2 []byte
	// V3 are the hashes of its version 3 documents by their paths, "apis/<group>/<version>".
	V3 map[string]string
	// Converted is made of V2 where the server has no documents of version 3, and listed under the only path of V3.
	Converted []byte
}

// Equal compares all of it.
func (e Extension) Equal(other Extension) bool {
	return bytes.Equal(e.V2, other.V2) && bytes.Equal(e.Converted, other.Converted) && maps.Equal(e.V3, other.V3)
}

// PartOf returns the paths of a version of a group in a Swagger document, and the definitions that they need. A document that could not be merged,
// or written as protobuf, is an error.
func PartOf(document []byte, gv kschema.GroupVersion) ([]byte, error) {
	var whole spec.Swagger
	if err := json.Unmarshal(document, &whole); err != nil {
		return nil, fmt.Errorf("reading the swagger document: %w", err)
	}
	if whole.Paths == nil {
		return nil, errors.New("the swagger document has no paths")
	}
	part := aggregator.FilterSpecByPathsWithoutSideEffects(&whole, []string{"/apis/" + gv.String() + "/"})
	if part.Info == nil || part.Info.Title == "" || part.Info.Version == "" { // without them it is no protobuf
		part.Info = &spec.Info{InfoProps: spec.InfoProps{Title: documentTitle, Version: documentVersion}}
	}
	text, err := part.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("writing the swagger document: %w", err)
	}
	if _, err := openapi_v2.ParseDocument(text); err != nil {
		return nil, fmt.Errorf("parsing the swagger document: %w", err)
	}
	return text, nil
}

// Merge adds parts to a Swagger document. What two of them define in different ways under one name is renamed in the later one.
func Merge(document []byte, parts [][]byte) ([]byte, error) {
	if len(parts) == 0 {
		return document, nil
	}
	all := make([]*spec.Swagger, 0, 1+len(parts))
	for _, text := range slices.Concat([][]byte{document}, parts) {
		one := new(spec.Swagger)
		if err := json.Unmarshal(text, one); err != nil {
			return nil, fmt.Errorf("reading a swagger document: %w", err)
		}
		all = append(all, one)
	}
	merged := all[0]
	for _, one := range all[1:] {
		if err := aggregator.MergeSpecsIgnorePathConflictRenamingDefinitionsAndParameters(merged, one); err != nil {
			return nil, fmt.Errorf("merging swagger documents: %w", err)
		}
	}
	return merged.MarshalJSON()
}

// ConvertPart makes the version 3 document of a PartOf a Swagger document.
func ConvertPart(part []byte) ([]byte, error) {
	var s spec.Swagger
	if err := json.Unmarshal(part, &s); err != nil {
		return nil, fmt.Errorf("reading the swagger document: %w", err)
	}
	return json.Marshal(openapiconv.ConvertV2ToV3(&s))
}

// IndexOf reads an extension server's index of version 3 documents: the hashes of those that are about its version or its group.
func IndexOf(index []byte, gv kschema.GroupVersion) (map[string]string, error) {
	var all struct {
		Paths map[string]struct {
			ServerRelativeURL string `json:"serverRelativeURL"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(index, &all); err != nil {
		return nil, fmt.Errorf("reading the index of OpenAPI documents: %w", err)
	}
	own := map[string]string{}
	for _, path := range []string{"apis/" + gv.String(), "apis/" + gv.Group} {
		one, ok := all.Paths[path]
		if !ok {
			continue
		}
		address, err := url.Parse(one.ServerRelativeURL)
		if err != nil {
			return nil, fmt.Errorf("reading the address of the OpenAPI document of %s: %w", path, err)
		}
		own[path] = address.Query().Get("hash")
	}
	return own, nil
}
