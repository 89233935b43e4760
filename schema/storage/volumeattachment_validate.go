package storage

import (
	"math"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/core"
	"gantry/schema/internal/check"
)

// The bounds of what an attacher tells.
const (
	maxMetadata = 256 << 10 // bytes of keys and values
	maxMessage  = 1024      // bytes
)

// validateAttachment checks that
//   - the attacher is a driver's name;
//   - what is attached is one volume, by its name or inline;
//   - the node is named validly;
//   - what the attacher tells is not too large.
func validateAttachment(a *storagev1.VolumeAttachment) field.ErrorList {
	var f check.Errors
	s, status := &a.Spec, field.NewPath("status")
	core.CheckDriverName(&f, s.Attacher, specPath.Child("attacher"))
	checkSource(&f, &s.Source, specPath.Child("source"))
	f.Subdomain(specPath.Child("nodeName"), s.NodeName)
	if sizeOf(a.Status.AttachmentMetadata) > maxMetadata {
		f.Add(field.TooLong(status.Child("attachmentMetadata"), "", maxMetadata))
	}
	checkVolumeError(&f, a.Status.AttachError, status.Child("attachError"))
	checkVolumeError(&f, a.Status.DetachError, status.Child("detachError"))
	if name := s.Source.PersistentVolumeName; name != nil {
		f.Subdomain(field.NewPath("spec.source.persistentVolumeName"), *name)
	}
	return f.List
}

// validateAttachmentUpdate checks that the spec stays.
func validateAttachmentUpdate(a, old *storagev1.VolumeAttachment) field.ErrorList {
	var f check.Errors
	f.Add(validateAttachment(a)...)
	if !equality.Semantic.DeepEqual(a.Spec, old.Spec) {
		f.Invalid(specPath, check.Quoted(a.Spec), apivalidation.FieldImmutableErrorMsg)
	}
	return f.List
}

func checkSource(f *check.Errors, s *storagev1.VolumeAttachmentSource, p *field.Path) {
	const one = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
	switch name, inline := s.PersistentVolumeName, s.InlineVolumeSpec; {
	case inline == nil && name == nil:
		f.Required(p, one)
	case inline != nil && name != nil:
		f.Forbidden(p, one)
	case inline != nil:
		f.Add(core.ValidateInlineVolume(inline, p.Child("inlineVolumeSpec"))...)
	case *name == "":
		f.Required(p.Child("persistentVolumeName"), "must specify non empty persistentVolumeName")
	}
}

func checkVolumeError(f *check.Errors, e *storagev1.VolumeError, p *field.Path) {
	if e == nil {
		return
	}
	if len(e.Message) > maxMessage {
		f.Add(field.TooLong(p.Child("message"), "", maxMetadata)) // the bound that Kubernetes tells
	}
	if e.ErrorCode != nil {
		f.Range(p.Child("errorCode"), int64(*e.ErrorCode), 0, math.MaxInt32)
	}
}
