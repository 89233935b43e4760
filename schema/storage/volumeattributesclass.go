package storage

import (
	storagev1 "k8s.io/api/storage/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// AttributesClassProtection is the finalizer that keeps a class while it is used.
const AttributesClassProtection = "kubernetes.io/vac-protection"

// VolumeAttributesClass is the kind of volumeattributesclasses.
var VolumeAttributesClass = &schema.Kind{
	Version: schema.Version{
		Group: storagev1.GroupName, Version: "v1", Kind: "VolumeAttributesClass",
		New:     func() schema.Object { return &storagev1.VolumeAttributesClass{} },
		NewList: func() runtime.Object { return &storagev1.VolumeAttributesClassList{} },
		Columns: attributesClassColumns, Row: attributesClassRow,
	},
	Plural: "volumeattributesclasses", Singular: "volumeattributesclass", ShortNames: []string{"vac"}, Categories: []string{},
	UpdateMeta: schema.MetaOfBoth,
	Prefix:     "volumeattributesclasses",

	UnconditionalUpdate: true,
	ReturnsDeleted:      true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	Validate:       schema.Validation(validateAttributesClass),
	ValidateUpdate: schema.UpdateValidation(validateAttributesClassUpdate),
}
