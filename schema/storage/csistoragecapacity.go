package storage

import (
	storagev1 "k8s.io/api/storage/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
	"gantry/schema/core"
)

// CSIStorageCapacity is the kind of csistoragecapacities.
var CSIStorageCapacity = &schema.Kind{
	Version: schema.Version{
		Group: storagev1.GroupName, Version: "v1", Kind: "CSIStorageCapacity",
		New:     func() schema.Object { return &storagev1.CSIStorageCapacity{} },
		NewList: func() runtime.Object { return &storagev1.CSIStorageCapacityList{} },
	},
	Plural: "csistoragecapacities", Singular: "csistoragecapacity", ShortNames: []string{}, Categories: []string{},
	UpdateMeta: schema.MetaOfBoth,
	Namespaced: true,
	Prefix:     "csistoragecapacities",

	ValidateName: apivalidation.NameIsDNSSubdomain,

	Validate:       schema.Validation(validateCapacity),
	ValidateUpdate: schema.UpdateValidation(validateCapacityUpdate),
	Warnings:       schema.Warnings(capacityWarnings),
}

func capacityWarnings(c, _ *storagev1.CSIStorageCapacity) []string {
	return core.NodeSelectorWarnings(c.NodeTopology, field.NewPath("nodeTopology"))
}
