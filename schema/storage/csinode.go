package storage

import (
	storagev1 "k8s.io/api/storage/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// CSINode is the kind of csinodes.
var CSINode = &schema.Kind{
	Version: schema.Version{
		Group: storagev1.GroupName, Version: "v1", Kind: "CSINode",
		New:     func() schema.Object { return &storagev1.CSINode{} },
		NewList: func() runtime.Object { return &storagev1.CSINodeList{} },
		Columns: csiNodeColumns, Row: csiNodeRow,
	},
	Plural: "csinodes", Singular: "csinode", ShortNames: []string{}, Categories: []string{},
	Prefix: "csinodes",

	ReturnsDeleted: true,
	ValidateName:   apivalidation.NameIsDNSSubdomain,

	Validate:       schema.Validation(validateCSINode),
	ValidateUpdate: schema.UpdateValidation(validateCSINodeUpdate),
}
