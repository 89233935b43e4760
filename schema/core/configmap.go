package core

import (
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// ConfigMap is the kind of configmaps.
var ConfigMap = &schema.Kind{
	Version: schema.Version{
		Group: "", Version: "v1", Kind: "ConfigMap",
		New:     func() schema.Object { return &corev1.ConfigMap{} },
		NewList: func() runtime.Object { return &corev1.ConfigMapList{} },
		Columns: configMapColumns, Row: configMapRow,
		Default: schema.Preparation(func(m *corev1.ConfigMap) { fillNulls(m.BinaryData) }),
	},
	Plural: "configmaps", Singular: "configmap", ShortNames: []string{"cm"}, Categories: []string{},
	UpdateMeta: schema.MetaOfBoth,
	Namespaced: true,
	Prefix:     "configmaps",

	UnconditionalUpdate: true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	Validate:       schema.Validation(validateConfigMap),
	ValidateUpdate: schema.UpdateValidation(validateConfigMapUpdate),
}
