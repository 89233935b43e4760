package openapi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// models collects the definitions of the Go types that a document refers to.
type models struct {
	prefix      string // of references: "#/definitions/"
	v3          bool
	markers     *markers
	kinds       map[reflect.Type][]any // what the types are the bodies of, gvkObjects
	definitions object
}

func newModels(prefix string, v3 bool, kinds map[reflect.Type][]any) *models {
	return &models{prefix: prefix, v3: v3, markers: readMarkers(markersText), kinds: kinds, definitions: object{}}
}

// ref defines the struct type t and returns a reference to it.
func (m *models) ref(t reflect.Type) object {
	return object{"$ref": m.prefix + m.define(t)}
}

// define makes t's definition, once, and returns its name.
func (m *models) define(t reflect.Type) string {
	name := modelName(t)
	if m.definitions[name] != nil {
		return name
	}
	if special := specialModel(t, m.v3); special != nil {
		if text := m.markers.of(t, "").description(swaggerDoc(t)[""]); text != "" {
			special["description"] = text
		}
		m.definitions[name] = special
		return name
	}
	d := object{"type": "object"}
	m.definitions[name] = d // before its fields: types refer to themselves
	doc, marks := swaggerDoc(t), m.markers.of(t, "")
	if text := marks.description(doc[""]); text != "" {
		d["description"] = text
	}
	if all := m.kinds[t]; len(all) > 0 {
		d[gvkExtension] = all
	}
	properties, required := object{}, []string(nil)
	m.fields(t, doc, properties, &required)
	if len(properties) > 0 {
		d["properties"] = properties
	}
	if len(required) > 0 {
		d["required"] = required
	}
	marks.extend(d)
	return name
}

// fields adds the fields of struct t, those of inlined structs among them.
func (m *models) fields(t reflect.Type, doc map[string]string, properties object, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		inline := strings.Contains(options, "inline") || (f.Anonymous && name == "")
		switch {
		case name == "-" || !f.IsExported():
			continue
		case inline:
			below := deref(f.Type)
			m.fields(below, swaggerDoc(below), properties, required)
			continue
		}
		marks := m.markers.of(t, name)
		omitted := slices.Contains(strings.Split(options, ","), "omitempty")
		properties[name] = m.field(f, doc[name], marks, omitted)
		if marks.required || !omitted && !marks.optional {
			*required = append(*required, name)
		}
	}
}

// field is the schema of a field; omitted: it is not written where it is empty.
func (m *models) field(f reflect.StructField, doc string, marks *marker, omitted bool) object {
	p := m.shape(deref(f.Type))
	description := marks.description(doc)
	if t := deref(f.Type); t.Kind() == reflect.String {
		description = m.markers.of(t, "").describeEnum(description, marks.gap)
	}
	if description != "" {
		p["description"] = description
	}
	patchTags(p, f.Tag)
	marks.extend(p)
	if p["default"] == nil {
		m.fallback(p, f.Type, omitted)
	}
	return m.wrapped(p)
}

// element is the schema of an element of a list or a member of a map.
func (m *models) element(t reflect.Type) object {
	s := m.shape(deref(t))
	m.fallback(s, t, false)
	return m.wrapped(s)
}

// fallback adds the default that a value has which is always written: its zero.
func (m *models) fallback(s object, t reflect.Type, omitted bool) {
	if zero := zeroDefault(t, omitted); zero != nil {
		s["default"] = zero
	}
}

// zeroDefault is nil for values that may be null, and for those whose type decodes itself.
func zeroDefault(t reflect.Type, omitted bool) any {
	if t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return nil
	}
	if t.Kind() != reflect.Struct {
		if omitted {
			return nil
		}
		return zeroOf(t)
	}
	if t.NumField() == 1 && t.Field(0).Anonymous {
		return zeroDefault(t.Field(0).Type, omitted)
	}
	return object{}
}

// wrapped is s where version 2 is written without defaults, and version 3 without anything beside a reference, which it ignores.
func (m *models) wrapped(s object) object {
	if !m.v3 {
		delete(s, "default")
		return s
	}
	if ref := s["$ref"]; ref != nil && len(s) > 1 {
		delete(s, "$ref")
		s["allOf"] = []any{object{"$ref": ref}}
	}
	return s
}

func (m *models) shape(t reflect.Type) object {
	switch t.Kind() {
	case reflect.Struct:
		return m.ref(t)
	case reflect.String:
		s := object{"type": "string"}
		m.markers.of(t, "").extend(s)
		return s
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int32, reflect.Uint32, reflect.Int16, reflect.Uint16, reflect.Int8, reflect.Uint8:
		return object{"type": "integer", "format": "int32"}
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint64:
		return object{"type": "integer", "format": "int64"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number", "format": "double"}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": m.element(t.Elem())}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": "string", "format": "byte"}
		}
		return object{"type": "array", "items": m.element(t.Elem())}
	}
	return object{} // an interface: anything
}

// patchTags says how strategic merge patch merges the field.
func patchTags(p object, tag reflect.StructTag) {
	if strategy := tag.Get("patchStrategy"); strategy != "" {
		p["x-kubernetes-patch-strategy"] = strategy
	}
	if key := tag.Get("patchMergeKey"); key != "" {
		p["x-kubernetes-patch-merge-key"] = key
	}
}

func deref(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// modelName is the upstream name of a type's model: "io.k8s.api.core.v1.Pod".
func modelName(t reflect.Type) string {
	if n, ok := reflect.Zero(t).Interface().(interface{ OpenAPIModelName() string }); ok {
		return n.OpenAPIModelName()
	}
	host, rest, _ := strings.Cut(t.PkgPath(), "/")
	labels := strings.Split(host, ".")
	for i, j := 0, len(labels)-1; i < j; i, j = i+1, j-1 {
		labels[i], labels[j] = labels[j], labels[i]
	}
	return fmt.Sprintf("%s.%s.%s", strings.Join(labels, "."), strings.ReplaceAll(rest, "/", "."), t.Name())
}

func swaggerDoc(t reflect.Type) map[string]string {
	if d, ok := reflect.Zero(t).Interface().(interface{ SwaggerDoc() map[string]string }); ok {
		return d.SwaggerDoc()
	}
	return nil
}
