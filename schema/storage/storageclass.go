package storage

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
	"gantry/schema/core"
)

// StorageClass is the kind of storageclasses.
var StorageClass = &schema.Kind{
	Version: schema.Version{
		Group: storagev1.GroupName, Version: "v1", Kind: "StorageClass",
		New:     func() schema.Object { return &storagev1.StorageClass{} },
		NewList: func() runtime.Object { return &storagev1.StorageClassList{} },
		Columns: storageClassColumns, Row: storageClassRow,
		Default: schema.Preparation(defaultStorageClass),
	},
	Plural: "storageclasses", Singular: "storageclass", ShortNames: []string{"sc"}, Categories: []string{},
	UpdateMeta: schema.MetaOfCreateFirst,
	Prefix:     "storageclasses",

	UnconditionalUpdate: true,
	ReturnsDeleted:      true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	Validate:       schema.Validation(validateStorageClass),
	ValidateUpdate: schema.UpdateValidation(validateStorageClassUpdate),
	Warnings:       schema.Warnings(storageClassWarnings),
}

func defaultStorageClass(c *storagev1.StorageClass) {
	if c.ReclaimPolicy == nil {
		policy := corev1.PersistentVolumeReclaimDelete
		c.ReclaimPolicy = &policy
	}
	if c.VolumeBindingMode == nil {
		mode := storagev1.VolumeBindingImmediate
		c.VolumeBindingMode = &mode
	}
}

// defaultAnnotations mark the class of claims that name none.
var defaultAnnotations = [...]string{"storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"}

// IsDefault tells whether a class is the one of claims that name none.
func IsDefault(c *storagev1.StorageClass) bool {
	return c.Annotations[defaultAnnotations[0]] == "true" || c.Annotations[defaultAnnotations[1]] == "true"
}

func storageClassWarnings(c, _ *storagev1.StorageClass) (w []string) {
	for i, t := range c.AllowedTopologies {
		for j, e := range t.MatchLabelExpressions {
			if note, deprecated := core.NodeLabelDeprecation(e.Key); deprecated {
				w = append(w, fmt.Sprintf("%s: %s", field.NewPath("allowedTopologies").Index(i).Child("matchLabelExpressions").Index(j).Child("key"), note))
			}
		}
	}
	return w
}
