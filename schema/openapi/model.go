package openapi

import (
	"fmt"
	"reflect"
	"strings"

	kschema "k8s.io/apimachinery/pkg/runtime/schema"
)

// models collects the definitions of the Go types that a document refers to.
type models struct {
	prefix      string // of references: "#/definitions/"
	v3          bool
	markers     markers
	definitions object
}

func newModels(prefix string, v3 bool) (*models, error) {
	marks, err := parseMarkers(markersText)
	if err != nil {
		return nil, err
	}
	return &models{prefix: prefix, v3: v3, markers: marks, definitions: object{}}, nil
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
		m.definitions[name] = special
		return name
	}
	d := object{"type": "object"}
	m.definitions[name] = d // before its fields: types refer to themselves
	doc := swaggerDoc(t)
	if doc[""] != "" {
		d["description"] = doc[""]
	}
	properties, required := object{}, []string(nil)
	m.fields(t, doc, properties, &required)
	if len(properties) > 0 {
		d["properties"] = properties
	}
	if len(required) > 0 {
		d["required"] = required
	}
	m.markers.of(t, "").extend(d)
	return name
}

// kind marks the model of t as the body of a kind.
func (m *models) kind(t reflect.Type, gvk kschema.GroupVersionKind) {
	d := m.definitions[m.define(t)].(object)
	all, _ := d[gvkExtension].([]any)
	for _, have := range all {
		if reflect.DeepEqual(have, gvkObject(gvk)) {
			return
		}
	}
	d[gvkExtension] = append(all, gvkObject(gvk))
}

const gvkExtension = "x-kubernetes-group-version-kind"

func gvkObject(gvk kschema.GroupVersionKind) object {
	return object{"group": gvk.Group, "version": gvk.Version, "kind": gvk.Kind}
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
		p := m.use(f.Type, doc[name])
		patchTags(p, f.Tag)
		marks.extend(p)
		properties[name] = p
		if !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero") && !marks.optional {
			*required = append(*required, name)
		}
	}
}

// use is the schema of a value of type t with a description ("": none).
func (m *models) use(t reflect.Type, description string) object {
	s := m.shape(deref(t))
	if s["$ref"] != nil && m.v3 && description != "" {
		s = object{"allOf": []any{s}} // 3.0 ignores what stands beside a reference
	}
	if description != "" {
		s["description"] = description
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
		return object{"type": "object", "additionalProperties": m.shape(deref(t.Elem()))}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": "string", "format": "byte"}
		}
		return object{"type": "array", "items": m.shape(deref(t.Elem()))}
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
