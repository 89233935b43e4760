// Package structural reads the schemas of custom kinds.
package structural

import (
	"encoding/json"
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
)

// Props reads an OpenAPI v3 schema as Kubernetes' packages take it.
func Props(text []byte) (*apiextensions.JSONSchemaProps, error) {
	var props apiextensionsv1.JSONSchemaProps
	if err := json.Unmarshal(text, &props); err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	return PropsOf(&props)
}

// PropsOf is an OpenAPI v3 schema as Kubernetes' packages take it. They do not change it: it shares memory with props.
func PropsOf(props *apiextensionsv1.JSONSchemaProps) (*apiextensions.JSONSchemaProps, error) {
	out := &apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(props, out, nil); err != nil {
		return nil, fmt.Errorf("converting the schema: %w", err)
	}
	return out, nil
}

// Schema reads an OpenAPI v3 schema as a structural one; the error says why it is none.
func Schema(text []byte) (*structuralschema.Structural, error) {
	props, err := Props(text)
	if err != nil {
		return nil, err
	}
	s, err := structuralschema.NewStructural(props)
	if err != nil {
		return nil, fmt.Errorf("the schema is not structural: %w", err)
	}
	return s, nil
}
