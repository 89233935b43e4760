package core

import (
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
)

// PersistentVolume is the kind of persistentvolumes.
var PersistentVolume = &schema.Kind{
	Version: schema.Version{
		Group: "", Version: "v1", Kind: "PersistentVolume",
		New:     func() schema.Object { return &corev1.PersistentVolume{} },
		NewList: func() runtime.Object { return &corev1.PersistentVolumeList{} },
		Columns: persistentVolumeColumns, Row: persistentVolumeRow,
		Default: schema.Preparation(defaultPersistentVolume),
	},
	Plural: "persistentvolumes", Singular: "persistentvolume", ShortNames: []string{"pv"}, Categories: []string{},
	UpdateMeta: schema.MetaOfCreate,
	Prefix:     "persistentvolumes",

	Subresources: []schema.Subresource{
		schema.Status(preparePersistentVolumeStatus, validatePersistentVolumeStatus),
	},
	UnconditionalUpdate: true,
	ReturnsDeleted:      true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	PrepareCreate:  schema.Preparation(preparePersistentVolumeCreate),
	PrepareUpdate:  schema.UpdatePreparation(func(pv, old *corev1.PersistentVolume) { pv.Status = old.Status }),
	Validate:       schema.Validation(validatePersistentVolume),
	ValidateUpdate: schema.UpdateValidation(validatePersistentVolumeUpdate),
	Warnings:       schema.Warnings(persistentVolumeWarnings),
}

func defaultPersistentVolume(pv *corev1.PersistentVolume) {
	setIfZero(&pv.Status.Phase, corev1.VolumePending)
	setIfZero(&pv.Spec.PersistentVolumeReclaimPolicy, corev1.PersistentVolumeReclaimRetain)
	SetIfNil(&pv.Spec.VolumeMode, corev1.PersistentVolumeFilesystem)
	DefaultVolumeSource(&pv.Spec)
}

// DefaultVolumeSource fills the capacity and the source of a volume: all that is defaulted of one inside of another object.
func DefaultVolumeSource(spec *corev1.PersistentVolumeSpec) {
	roundResources(spec.Capacity)
	if s := spec.HostPath; s != nil {
		SetIfNil(&s.Type, corev1.HostPathUnset)
	}
	if s := spec.RBD; s != nil {
		setIfZero(&s.RBDPool, "rbd")
		setIfZero(&s.RadosUser, "admin")
		setIfZero(&s.Keyring, "/etc/ceph/keyring")
	}
	if s := spec.ISCSI; s != nil {
		setIfZero(&s.ISCSIInterface, "default")
	}
	if s := spec.ScaleIO; s != nil {
		setIfZero(&s.StorageMode, "ThinProvisioned")
		setIfZero(&s.FSType, "xfs")
	}
	defaultStorage(&corev1.Volume{VolumeSource: corev1.VolumeSource{AzureDisk: spec.AzureDisk}})
}

func preparePersistentVolumeCreate(pv *corev1.PersistentVolume) {
	now := metav1.Now()
	pv.Status = corev1.PersistentVolumeStatus{Phase: corev1.VolumePending, LastPhaseTransitionTime: &now}
}

// preparePersistentVolumeStatus notes when the phase changes, unless the writer does.
func preparePersistentVolumeStatus(pv, old *corev1.PersistentVolume) {
	pv.Spec = old.Spec
	is, was := &pv.Status, &old.Status
	switch {
	case is.Phase == was.Phase:
		if is.LastPhaseTransitionTime == nil {
			is.LastPhaseTransitionTime = was.LastPhaseTransitionTime
		}
	case is.LastPhaseTransitionTime == nil || is.LastPhaseTransitionTime.Equal(was.LastPhaseTransitionTime):
		now := metav1.Now()
		is.LastPhaseTransitionTime = &now
	}
}

// validatePersistentVolumeStatus finds no errors.
func validatePersistentVolumeStatus(_, _ *corev1.PersistentVolume) field.ErrorList { return nil }

func persistentVolumeWarnings(pv, _ *corev1.PersistentVolume) []string {
	w := podWarner{}
	spec, annotations := &pv.Spec, field.NewPath("metadata", "annotations")
	for _, a := range []struct{ key, text string }{
		{corev1.BetaStorageClassAnnotation, classNote},
		{corev1.MountOptionAnnotation, `deprecated since v1.31; use "mountOptions" attribute instead`},
	} {
		if _, there := pv.Annotations[a.key]; there {
			w.say(annotations.Key(a.key), "%s", a.text)
		}
	}
	if spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRecycle {
		w.say(specPath.Child("persistentVolumeReclaimPolicy"), "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.")
	}
	if a := spec.NodeAffinity; a != nil && a.Required != nil {
		for i := range a.Required.NodeSelectorTerms {
			nodeTermWarnings(&a.Required.NodeSelectorTerms[i], false, specPath.Child("nodeAffinity", "required", "nodeSelectorTerms").Index(i), w.say)
		}
	}
	for _, s := range []struct {
		set                bool
		name               string
		deprecated, broken string
	}{
		{spec.CephFS != nil, "cephfs", "v1.28", "v1.31"},
		{spec.PhotonPersistentDisk != nil, "photonPersistentDisk", "v1.11", "v1.16"},
		{spec.ScaleIO != nil, "scaleIO", "v1.16", "v1.22"},
		{spec.StorageOS != nil, "storageOS", "v1.22", "v1.25"},
		{spec.Glusterfs != nil, "glusterfs", "v1.25", "v1.26"},
		{spec.RBD != nil, "rbd", "v1.28", "v1.31"},
	} {
		if s.set {
			w.say(specPath.Child(s.name), "deprecated in %s, non-functional in %s+", s.deprecated, s.broken)
		}
	}
	return w.texts
}
