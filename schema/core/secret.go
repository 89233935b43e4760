package core

import (
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// Secret is the kind of secrets.
var Secret = &schema.Kind{
	Version: schema.Version{
		Group: "", Version: "v1", Kind: "Secret",
		New:     func() schema.Object { return &corev1.Secret{} },
		NewList: func() runtime.Object { return &corev1.SecretList{} },
		Columns: secretColumns, Row: secretRow,
		Default: schema.Preparation(defaultSecret),
		Fields:  secretFields,
	},
	Plural: "secrets", Singular: "secret", ShortNames: []string{}, Categories: []string{},
	UpdateMeta: schema.MetaOfBoth,
	Namespaced: true,
	Prefix:     "secrets",

	UnconditionalUpdate: true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	PrepareUpdate:  schema.UpdatePreparation(prepareSecretUpdate),
	Validate:       schema.Validation(validateSecret),
	ValidateUpdate: schema.UpdateValidation(validateSecretUpdate),
	Warnings:       schema.Warnings(secretWarnings),
}

// fillNulls makes bytes that are null empty, as they are once Kubernetes has stored them.
func fillNulls(data map[string][]byte) {
	for key, value := range data {
		if value == nil {
			data[key] = []byte{}
		}
	}
}

// defaultSecret also moves stringData, which is write-only, into data.
func defaultSecret(s *corev1.Secret) {
	fillNulls(s.Data)
	setIfZero(&s.Type, corev1.SecretTypeOpaque)
	if len(s.StringData) > 0 && s.Data == nil {
		s.Data = make(map[string][]byte, len(s.StringData))
	}
	for key, value := range s.StringData {
		s.Data[key] = []byte(value)
	}
	s.StringData = nil
}

func prepareSecretUpdate(s, old *corev1.Secret) {
	setIfZero(&s.Type, old.Type)
}

var secretFields = []schema.Field{
	schema.FieldOf("type", func(s *corev1.Secret) string { return string(s.Type) }),
}
