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
		Default: schema.Preparation(defaultCSINode),
	},
	Plural: "csinodes", Singular: "csinode", ShortNames: []string{}, Categories: []string{},
	UpdateMeta: schema.MetaOfCreate,
	Prefix:     "csinodes",

	ReturnsDeleted: true,
	ValidateName:   apivalidation.NameIsDNSSubdomain,

	Validate:       schema.Validation(validateCSINode),
	ValidateUpdate: schema.UpdateValidation(validateCSINodeUpdate),
}

// defaultCSINode clears empty lists, which Kubernetes does not store: these are shown even where they are empty.
func defaultCSINode(n *storagev1.CSINode) {
	if len(n.Spec.Drivers) == 0 {
		n.Spec.Drivers = nil
	}
	for i := range n.Spec.Drivers {
		if d := &n.Spec.Drivers[i]; len(d.TopologyKeys) == 0 {
			d.TopologyKeys = nil
		}
	}
}
