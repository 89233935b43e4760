package openapi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kube-openapi/pkg/schemaconv"
	"k8s.io/kube-openapi/pkg/validation/spec"
	smd "sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

// structureName is the name of the type of objects without a Go type.
const structureName = "object"

// TypedStructure is Typed for objects without a Go type, whose OpenAPI v3 schema is structure. Every such object has kind, apiVersion and
// the metadata of all objects.
func TypedStructure(structure []byte) (*typed.ParseableType, error) {
	var root spec.Schema
	if err := json.Unmarshal(structure, &root); err != nil {
		return nil, err
	}
	meta := reflect.TypeFor[metav1.ObjectMeta]()
	addTypedMeta(&root, meta)
	eachEmbedded(&root, func(s *spec.Schema) { addTypedMeta(s, meta) })
	converted, err := schemaconv.ToSchemaFromOpenAPI(map[string]*spec.Schema{structureName: &root}, false)
	if err != nil {
		return nil, fmt.Errorf("converting the schema: %w", err)
	}
	m := &typedModels{markers: readMarkers(markersText), made: map[reflect.Type]string{}, types: converted.Types}
	m.define(meta)
	p := &typed.Parser{Schema: smd.Schema{Types: slices.Clip(m.types)}}
	parseable := p.Type(structureName)
	return &parseable, nil
}

// addTypedMeta gives s the fields that every object has.
func addTypedMeta(s *spec.Schema, meta reflect.Type) {
	s.SetProperty("kind", *spec.StringProperty())
	s.SetProperty("apiVersion", *spec.StringProperty())
	s.SetProperty("metadata", *spec.RefSchema("#/definitions/" + modelName(meta)))
}

// eachEmbedded calls change for the schemas within s of objects that are embedded, the innermost first.
func eachEmbedded(s *spec.Schema, change func(*spec.Schema)) {
	if s == nil {
		return
	}
	for name, inner := range s.Properties {
		eachEmbedded(&inner, change)
		s.Properties[name] = inner
	}
	if s.Items != nil {
		eachEmbedded(s.Items.Schema, change)
	}
	if s.AdditionalProperties != nil {
		eachEmbedded(s.AdditionalProperties.Schema, change)
	}
	if extensionSet(s, "x-kubernetes-embedded-resource") {
		change(s)
	}
}

func extensionSet(s *spec.Schema, extension string) bool {
	set, ok := s.Extensions.GetBool(extension)
	return ok && set
}
