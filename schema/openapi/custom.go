package openapi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	openapiv2 "k8s.io/apiextensions-apiserver/pkg/controller/openapi/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"gantry/schema"
	"gantry/schema/internal/structural"
)

// model is what a body is: an object of a Go type or, where custom is set, of a version without one or, where listed is the plural, a list of
// those.
type model struct {
	of     reflect.Type
	custom *schema.Version
	listed string
}

func typeModel[T any]() model { return model{of: reflect.TypeFor[T]()} }

func modelOf(v *schema.Version) model {
	if v.IsUnstructured() {
		return model{custom: v}
	}
	return model{of: deref(v.Type())}
}

func listModelOf(v *schema.Version, plural string) model {
	if v.IsUnstructured() {
		return model{custom: v, listed: plural}
	}
	return model{of: deref(reflect.TypeOf(v.NewList()))}
}

// refTo defines a model and returns a reference to it.
func (m *models) refTo(b model) object {
	if b.custom == nil {
		return m.ref(b.of)
	}
	return object{"$ref": m.prefix + m.defineCustom(b.custom, b.listed)}
}

// defineCustom makes the definition of the objects of a version without a Go type, or of lists of them where listed is their plural, once, and returns
// its name: "com.example.v1.Widget".
func (m *models) defineCustom(v *schema.Version, listed string) string {
	labels := strings.Split(v.Group, ".")
	slices.Reverse(labels)
	kind := v.Kind
	if listed != "" {
		kind = v.ListKind()
	}
	name := strings.Join(append(labels, v.Version, kind), ".")
	if m.definitions[name] != nil {
		return name
	}
	var s *spec.Schema
	if listed != "" {
		s = m.customList(v, listed)
	} else {
		s = m.customObject(v)
	}
	s.AddExtension(gvkExtension, []any{gvkObject(v.GV().WithKind(kind))})
	if len(v.Fields) > 0 {
		var all []any
		for _, f := range v.Fields {
			all = append(all, object{"fieldPath": f.Path})
		}
		s.AddExtension("x-kubernetes-selectable-fields", all)
	}
	text, err := json.Marshal(s)
	if err != nil { // a value in the schema that JSON cannot have
		text = []byte(`{"type":"object"}`)
	}
	m.definitions[name] = json.RawMessage(text)
	return name
}

// customObject is the schema of a version's objects. One that is not known, and in version 2 one that allows more fields than it has, is without
// properties: clients would refuse the others.
func (m *models) customObject(v *schema.Version) *spec.Schema {
	anything := &spec.Schema{SchemaProps: spec.SchemaProps{Type: []string{"object"}}}
	if v.Structure == nil {
		return anything
	}
	s, err := structural.Schema(v.Structure.JSON())
	if err != nil || len(structuralschema.ValidateStructural(nil, s)) > 0 || !m.v3 && s.XPreserveUnknownFields {
		return anything
	}
	s = s.Unfold()
	if !m.v3 {
		s = openapiv2.ToStructuralOpenAPIV2(s)
	}
	out := s.ToKubeOpenAPI()
	if !m.v3 {
		dropDefaults(out)
	}
	m.addMeta(out, reflect.TypeFor[metav1.ObjectMeta]())
	m.addEmbedded(out)
	return out
}

// dropDefaults removes the default values in s, which documents of version 2 do not have.
func dropDefaults(s *spec.Schema) {
	if s == nil {
		return
	}
	s.Default = nil
	for name, inner := range s.Properties {
		dropDefaults(&inner)
		s.Properties[name] = inner
	}
	if s.Items != nil {
		dropDefaults(s.Items.Schema)
	}
	if s.AdditionalProperties != nil {
		dropDefaults(s.AdditionalProperties.Schema)
	}
}

func (m *models) customList(v *schema.Version, plural string) *spec.Schema {
	out := new(spec.Schema).Typed("object", "").WithDescription(fmt.Sprintf("%s is a list of %s", v.ListKind(), v.Kind)).WithRequired("items")
	items := spec.ArrayProperty(spec.RefSchema(m.prefix + m.defineCustom(v, "")))
	out.SetProperty("items", *items.WithDescription("List of " + plural + ". More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"))
	m.addMeta(out, reflect.TypeFor[metav1.ListMeta]())
	return out
}

// addMeta gives s the fields that every object or list has.
func (m *models) addMeta(s *spec.Schema, meta reflect.Type) {
	text := metav1.PartialObjectMetadata{}.SwaggerDoc()["metadata"]
	if meta == reflect.TypeFor[metav1.ListMeta]() {
		text = metav1.PartialObjectMetadataList{}.SwaggerDoc()["metadata"]
	}
	ref := spec.RefSchema(m.prefix + m.define(meta))
	if m.v3 { // it ignores what stands beside a reference
		ref = &spec.Schema{SchemaProps: spec.SchemaProps{AllOf: []spec.Schema{*ref}}}
	}
	s.SetProperty("metadata", *ref.WithDescription(text))
	for name, text := range (metav1.TypeMeta{}).SwaggerDoc() {
		if name != "" {
			s.SetProperty(name, *spec.StringProperty().WithDescription(text))
		}
	}
}

const conventions = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#"

// addEmbedded gives the objects that are embedded in s the fields that every object has.
func (m *models) addEmbedded(s *spec.Schema) {
	eachEmbedded(s, func(s *spec.Schema) {
		if !m.v3 && extensionSet(s, "x-kubernetes-preserve-unknown-fields") {
			return
		}
		m.addMeta(s, reflect.TypeFor[metav1.ObjectMeta]())
		s.SetProperty("apiVersion", *spec.StringProperty().WithDescription("apiVersion defines the versioned schema of this representation of an object. More info: " + conventions + "resources"))
		s.SetProperty("kind", *spec.StringProperty().WithDescription("kind is a string value representing the type of this object. In CamelCase. More info: " + conventions + "types-kinds"))
		for _, name := range []string{"kind", "apiVersion"} {
			if !slices.Contains(s.Required, name) {
				s.Required = append(s.Required, name)
			}
		}
	})
}
