package storage

import (
	storagev1 "k8s.io/api/storage/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
	"gantry/schema/core"
)

// VolumeAttachment is the kind of volumeattachments.
var VolumeAttachment = &schema.Kind{
	Version: schema.Version{
		Group: storagev1.GroupName, Version: "v1", Kind: "VolumeAttachment",
		New:     func() schema.Object { return &storagev1.VolumeAttachment{} },
		NewList: func() runtime.Object { return &storagev1.VolumeAttachmentList{} },
		Columns: attachmentColumns, Row: attachmentRow,
		Default: schema.Preparation(defaultAttachment),
	},
	Plural: "volumeattachments", Singular: "volumeattachment", ShortNames: []string{}, Categories: []string{},
	UpdateMeta: schema.MetaOfCreate,
	Prefix:     "volumeattachments",

	Subresources: []schema.Subresource{
		schema.Status(prepareAttachmentStatus, validateAttachmentUpdate).Resetting("metadata"),
	},
	ReturnsDeleted: true,
	ValidateName:   apivalidation.NameIsDNSSubdomain,

	PrepareCreate:  schema.Preparation(func(a *storagev1.VolumeAttachment) { a.Status = storagev1.VolumeAttachmentStatus{} }),
	PrepareUpdate:  schema.UpdatePreparation(func(a, old *storagev1.VolumeAttachment) { a.Status = old.Status }),
	Validate:       schema.Validation(validateAttachment),
	ValidateUpdate: schema.UpdateValidation(validateAttachmentUpdate),
}

func defaultAttachment(a *storagev1.VolumeAttachment) {
	if spec := a.Spec.Source.InlineVolumeSpec; spec != nil {
		core.DefaultVolumeSource(spec)
	}
}

// prepareAttachmentStatus keeps the metadata too.
func prepareAttachmentStatus(a, old *storagev1.VolumeAttachment) {
	a.Spec = old.Spec
	metav1.ResetObjectMetaForStatus(&a.ObjectMeta, &old.ObjectMeta)
}
