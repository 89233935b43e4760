// Package apiextensions has the kind of apiextensions.k8s.io: definitions of custom kinds. Package customresource makes of one the kind that
// it defines.
package apiextensions

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	apiservervalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"gantry/schema"
)

type definition = apiextensionsv1.CustomResourceDefinition

// CustomResourceDefinition is the kind of definitions of custom kinds.
var CustomResourceDefinition = &schema.Kind{
	Version: schema.Version{
		Group: apiextensionsv1.GroupName, Version: "v1", Kind: "CustomResourceDefinition",
		New:     func() schema.Object { return &definition{} },
		NewList: func() runtime.Object { return &apiextensionsv1.CustomResourceDefinitionList{} },
		Default: schema.Preparation(apiextensionsv1.SetObjectDefaults_CustomResourceDefinition),
	},
	Plural: "customresourcedefinitions", Singular: "customresourcedefinition", ShortNames: []string{"crd", "crds"},
	Categories: []string{"api-extensions"},
	Prefix:     apiextensionsv1.GroupName + "/customresourcedefinitions",

	Subresources: []schema.Subresource{schema.Status(prepareStatus, func(d, old *definition) field.ErrorList {
		return errorsOf(withoutSpec(d), withoutSpec(old), func(_ context.Context, d, old *apiextensions.CustomResourceDefinition) field.ErrorList {
			return validation.ValidateUpdateCustomResourceDefinitionStatus(d, old)
		})
	})},
	AnyFinalizers: true,
	UpdateMeta:    schema.MetaOfNone, // the rules check it

	PrepareCreate: schema.Preparation(func(d *definition) {
		d.Status = apiextensionsv1.CustomResourceDefinitionStatus{}
		d.Generation = 1
		recordStored(d)
	}),
	PrepareUpdate: schema.UpdatePreparation(func(d, old *definition) {
		d.Status = *old.Status.DeepCopy()
		if !equality.Semantic.DeepEqual(d.Spec, old.Spec) {
			d.Generation = old.Generation + 1
		}
		recordStored(d)
	}),
	Validate: schema.Validation(func(d *definition) field.ErrorList {
		return errorsOf(d, nil, func(ctx context.Context, d, _ *apiextensions.CustomResourceDefinition) field.ErrorList {
			return validation.ValidateCustomResourceDefinition(ctx, d)
		})
	}),
	ValidateUpdate: schema.UpdateValidation(func(d, old *definition) field.ErrorList {
		return errorsOf(d, old, validation.ValidateCustomResourceDefinitionUpdate)
	}),
	Warnings: schema.Warnings(warnings),
}

func prepareStatus(d, old *definition) {
	d.Spec = old.Spec
	metav1.ResetObjectMetaForStatus(&d.ObjectMeta, &d.ObjectMeta) // of itself, as Kubernetes does: the status may be written with finalizers
}

// recordStored adds the version that objects are stored in to those that objects may be stored in.
func recordStored(d *definition) {
	for _, v := range d.Spec.Versions {
		if v.Storage {
			if !slices.Contains(d.Status.StoredVersions, v.Name) {
				d.Status.StoredVersions = append(d.Status.StoredVersions, v.Name)
			}
			return
		}
	}
}

// errorsOf returns what validate, of Kubernetes, finds in d and old, which may be nil.
func errorsOf(d, old *definition, validate func(ctx context.Context, d, old *apiextensions.CustomResourceDefinition) field.ErrorList) field.ErrorList {
	in, err := internal(d)
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	var was *apiextensions.CustomResourceDefinition
	if old != nil {
		if was, err = internal(old); err != nil {
			return field.ErrorList{field.InternalError(nil, err)}
		}
	}
	return validate(context.Background(), in, was)
}

// withoutSpec is a definition as the rules of its status look at it.
func withoutSpec(d *definition) *definition {
	return &definition{TypeMeta: d.TypeMeta, ObjectMeta: d.ObjectMeta, Status: d.Status}
}

// internal is a definition as Kubernetes' rules take it: they do not change it. It shares memory with d.
func internal(d *definition) (*apiextensions.CustomResourceDefinition, error) {
	out := &apiextensions.CustomResourceDefinition{}
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(d, out, nil); err != nil {
		return nil, fmt.Errorf("converting the definition: %w", err)
	}
	return out, nil
}

// warnings are about formats of strings that are not known, where old (nil: d is new) does not have them.
func warnings(d, old *definition) (texts []string) {
	var had []string
	added := unknownFormats(d)
	if old != nil && len(added) > 0 {
		had = unknownFormats(old)
	}
	for _, format := range added {
		if !slices.Contains(had, format) {
			texts = append(texts, fmt.Sprintf("unrecognized format %q", format))
		}
	}
	return texts
}

func unknownFormats(d *definition) (formats []string) {
	known := environment.DefaultCompatibilityVersion()
	add := func(s *apiextensionsv1.JSONSchemaProps) {
		if s.Format != "" {
			of := &spec.Schema{SchemaProps: spec.SchemaProps{Format: s.Format, Type: []string{s.Type}}}
			formats = append(formats, apiservervalidation.GetUnrecognizedFormats(of, known)...)
		}
	}
	for _, v := range d.Spec.Versions {
		if v.Schema != nil {
			walk(v.Schema.OpenAPIV3Schema, add)
		}
	}
	slices.Sort(formats)
	return formats
}

// walk calls f with a schema and those within it.
func walk(s *apiextensionsv1.JSONSchemaProps, f func(*apiextensionsv1.JSONSchemaProps)) {
	if s == nil {
		return
	}
	f(s)
	for _, all := range []map[string]apiextensionsv1.JSONSchemaProps{s.Properties, s.PatternProperties, s.Definitions} {
		for _, inner := range all {
			walk(&inner, f)
		}
	}
	for _, all := range [][]apiextensionsv1.JSONSchemaProps{s.AllOf, s.OneOf, s.AnyOf} {
		for i := range all {
			walk(&all[i], f)
		}
	}
	walk(s.Not, f)
	if s.Items != nil {
		walk(s.Items.Schema, f)
		for i := range s.Items.JSONSchemas {
			walk(&s.Items.JSONSchemas[i], f)
		}
	}
	for _, other := range []*apiextensionsv1.JSONSchemaPropsOrBool{s.AdditionalProperties, s.AdditionalItems} {
		if other != nil {
			walk(other.Schema, f)
		}
	}
	for _, d := range s.Dependencies {
		walk(d.Schema, f)
	}
}
