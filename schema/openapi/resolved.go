package openapi

import (
	"encoding/json"
	"fmt"
	"reflect"

	"k8s.io/kube-openapi/pkg/validation/spec"
)

// Resolved is the OpenAPI 3.0 schema of struct type t, with the schemas that it refers to in their places. A type within itself is an object
// of unknown fields. For a large type it takes tens of milliseconds and megabytes.
func Resolved(t reflect.Type) (*spec.Schema, error) {
	m := newModels("", true, nil)
	root := m.define(deref(t))
	text, err := encode(resolve(m.definitions, m.ref(deref(t)), map[string]bool{}))
	if err != nil {
		return nil, err
	}
	resolved := &spec.Schema{}
	if err := json.Unmarshal(text, resolved); err != nil {
		return nil, fmt.Errorf("reading the schema of %s: %w", root, err)
	}
	return resolved, nil
}

// resolve returns a schema with the definitions that it refers to. within are those that it is a part of.
func resolve(definitions, schema object, within map[string]bool) object {
	if name := reference(schema); name != "" {
		if within[name] {
			return object{"type": "object"}
		}
		within[name] = true
		defer delete(within, name)
		schema = definitions[name].(object)
	}
	resolved := object{}
	for key, value := range schema {
		part, isObject := value.(object)
		switch {
		case key == "properties":
			properties := object{}
			for name, p := range part {
				properties[name] = resolve(definitions, p.(object), within)
			}
			value = properties
		case isObject && (key == "items" || key == "additionalProperties"):
			value = resolve(definitions, part, within)
		}
		resolved[key] = value
	}
	return resolved
}

// reference is the name of the definition that a schema stands for: {"$ref": name}, {"allOf": [{"$ref": name}], "description": ..}; "": none.
func reference(schema object) string {
	if name, is := schema["$ref"].(string); is {
		return name
	}
	if all, is := schema["allOf"].([]any); is && len(all) == 1 {
		if one, is := all[0].(object); is {
			return reference(one)
		}
	}
	return ""
}
