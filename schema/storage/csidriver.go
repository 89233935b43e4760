package storage

import (
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// CSIDriver is the kind of csidrivers.
var CSIDriver = &schema.Kind{
	Version: schema.Version{
		Group: storagev1.GroupName, Version: "v1", Kind: "CSIDriver",
		New:     func() schema.Object { return &storagev1.CSIDriver{} },
		NewList: func() runtime.Object { return &storagev1.CSIDriverList{} },
		Columns: csiDriverColumns, Row: csiDriverRow,
		Default: schema.Preparation(defaultCSIDriver),
	},
	Plural: "csidrivers", Singular: "csidriver", ShortNames: []string{}, Categories: []string{},
	Prefix: "csidrivers",

	ReturnsDeleted: true,
	ValidateName:   apivalidation.NameIsDNSSubdomain,

	PrepareCreate:  schema.Preparation(prepareCSIDriverCreate),
	PrepareUpdate:  schema.UpdatePreparation(prepareCSIDriverUpdate),
	Validate:       schema.Validation(validateCSIDriver),
	ValidateUpdate: schema.UpdateValidation(validateCSIDriverUpdate),
	Warnings:       schema.Warnings(csiDriverWarnings),
}

func defaultCSIDriver(d *storagev1.CSIDriver) {
	s := &d.Spec
	setIfNil(&s.AttachRequired, true)
	setIfNil(&s.PodInfoOnMount, false)
	setIfNil(&s.StorageCapacity, false)
	setIfNil(&s.FSGroupPolicy, storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy)
	if len(s.VolumeLifecycleModes) == 0 {
		s.VolumeLifecycleModes = []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecyclePersistent}
	}
	setIfNil(&s.RequiresRepublish, false)
	setIfNil(&s.SELinuxMount, false)
}

func setIfNil[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

// prepareCSIDriverCreate drops preventPodSchedulingIfMissing, which belongs to VolumeLimitScaling: off in 1.36.
func prepareCSIDriverCreate(d *storagev1.CSIDriver) { d.Spec.PreventPodSchedulingIfMissing = nil }

func prepareCSIDriverUpdate(d, old *storagev1.CSIDriver) {
	if old.Spec.PreventPodSchedulingIfMissing == nil {
		d.Spec.PreventPodSchedulingIfMissing = nil
	}
	d.Generation = old.Generation
	if !equality.Semantic.DeepEqual(d.Spec, old.Spec) {
		d.Generation++
	}
}

func csiDriverWarnings(d, old *storagev1.CSIDriver) []string {
	s := &d.Spec
	if len(s.TokenRequests) == 0 || s.ServiceAccountTokenInSecrets != nil || old != nil && equality.Semantic.DeepEqual(s.TokenRequests, old.Spec.TokenRequests) {
		return nil
	}
	return []string{"spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes"}
}
