package main

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// schema is the part of an OpenAPI v3 schema that mutations are made from.
type schema struct {
	Ref                  string `json:"$ref"`
	AllOf                []*schema
	OneOf                []*schema
	Type, Format         string
	Properties           map[string]*schema
	AdditionalProperties *schema
	Items                *schema
	Required             []string
	Enum                 []any
	IntOrString          bool                                    `json:"x-kubernetes-int-or-string"`
	GVK                  []struct{ Group, Version, Kind string } `json:"x-kubernetes-group-version-kind"`
}

// schemas are the schemas of one /openapi/v3 document by name.
type schemas map[string]*schema

const refPrefix = "#/components/schemas/"

// readSchemas reads the document of a group and version.
func readSchemas(ctx context.Context, s *server, k *kind) (schemas, error) {
	path := "/openapi/v3/apis/" + k.group + "/" + k.version
	if k.group == "" {
		path = "/openapi/v3/api/" + k.version
	}
	var doc struct {
		Components struct{ Schemas map[string]json.RawMessage }
	}
	if err := getJSON(ctx, s, path, &doc); err != nil {
		return nil, err
	}
	out := schemas{}
	for name, text := range doc.Components.Schemas {
		var one schema
		if json.Unmarshal(text, &one) == nil {
			out[name] = &one
		}
	}
	return out, nil
}

// of is the schema of a kind, or nil.
func (all schemas) of(k *kind) *schema {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, g := range all[name].GVK {
			if g.Group == k.group && g.Version == k.version && g.Kind == k.kind {
				return all[name]
			}
		}
	}
	return nil
}

// resolve follows references; name is the last one followed.
func (all schemas) resolve(s *schema) (out *schema, name string) {
	for s != nil {
		if len(s.AllOf) == 1 && s.Properties == nil {
			s = s.AllOf[0]
			continue
		}
		if s.Ref == "" {
			return s, name
		}
		name = strings.TrimPrefix(s.Ref, refPrefix)
		s = all[name]
	}
	return &schema{}, name
}

// form is the JSON type, or quantity or int-or-string; "" where anything goes.
func (s *schema) form() string {
	switch {
	case s.Format == "int-or-string" || s.IntOrString:
		return "int-or-string"
	case len(s.OneOf) > 0 && s.Type == "":
		return "quantity"
	case s.Type == "string" && (s.Format == "date-time" || s.Format == "byte"):
		return s.Format
	}
	return s.Type
}

// sample is a small value of the schema: the required fields only; nil where the schema nests too deeply.
func (all schemas) sample(s *schema, depth int) any {
	s, _ = all.resolve(s)
	if depth > 6 {
		return nil
	}
	if len(s.Enum) > 0 {
		return s.Enum[0]
	}
	switch s.form() {
	case "string":
		return "a"
	case "date-time":
		return "2026-01-02T03:04:05Z"
	case "byte":
		return "YQ=="
	case "integer", "number", "int-or-string":
		return 1
	case "quantity":
		return "1"
	case "boolean":
		return true
	case "array":
		return []any{all.sample(s.Items, depth+1)}
	}
	out := map[string]any{}
	for _, name := range s.Required {
		out[name] = all.sample(s.Properties[name], depth+1)
	}
	if s.AdditionalProperties != nil {
		out["a"] = all.sample(s.AdditionalProperties, depth+1)
	}
	return out
}
