package storage

import (
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

var topologyPath, classPath = field.NewPath("nodeTopology"), field.NewPath("storageClassName")

// validateCapacity checks that the selector of nodes is valid, the class named, and the capacity not negative.
func validateCapacity(c *storagev1.CSIStorageCapacity) field.ErrorList {
	return checkCapacity(c, metavalidation.LabelSelectorValidationOptions{})
}

// validateCapacityUpdate checks that nodes and class stay. Label values that are none stay allowed where the selector has some.
func validateCapacityUpdate(c, old *storagev1.CSIStorageCapacity) field.ErrorList {
	var f check.Errors
	var o metavalidation.LabelSelectorValidationOptions
	o.AllowInvalidLabelValueInSelector = len(metavalidation.ValidateLabelSelector(old.NodeTopology, o, topologyPath)) > 0
	f.Add(checkCapacity(c, o)...)
	if !equality.Semantic.DeepEqual(c.NodeTopology, old.NodeTopology) {
		f.Invalid(topologyPath, c.NodeTopology, apivalidation.FieldImmutableErrorMsg)
	}
	if c.StorageClassName != old.StorageClassName {
		f.Invalid(classPath, c.StorageClassName, apivalidation.FieldImmutableErrorMsg)
	}
	return f.List
}

func checkCapacity(c *storagev1.CSIStorageCapacity, o metavalidation.LabelSelectorValidationOptions) field.ErrorList {
	var f check.Errors
	f.Add(metavalidation.ValidateLabelSelector(c.NodeTopology, o, topologyPath)...)
	f.Subdomain(classPath, c.StorageClassName)
	if q := c.Capacity; q != nil && q.Sign() < 0 {
		f.Invalid(field.NewPath("capacity"), q.String(), "must be greater than or equal to 0")
	}
	return f.List
}
