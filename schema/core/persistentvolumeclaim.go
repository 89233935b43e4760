package core

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
)

// ClaimProtection and VolumeProtection are the finalizers that keep a claim and a volume while they are used.
const (
	ClaimProtection  = "kubernetes.io/pvc-protection"
	VolumeProtection = "kubernetes.io/pv-protection"
)

// PersistentVolumeClaim is the kind of persistentvolumeclaims.
var PersistentVolumeClaim = &schema.Kind{
	Version: schema.Version{
		Group: "", Version: "v1", Kind: "PersistentVolumeClaim",
		New:     func() schema.Object { return &corev1.PersistentVolumeClaim{} },
		NewList: func() runtime.Object { return &corev1.PersistentVolumeClaimList{} },
		Columns: claimColumns, Row: claimRow,
		Default: schema.Preparation(DefaultClaim),
	},
	Plural: "persistentvolumeclaims", Singular: "persistentvolumeclaim", ShortNames: []string{"pvc"}, Categories: []string{},
	UpdateMeta: schema.MetaOfBoth,
	Namespaced: true,
	Prefix:     "persistentvolumeclaims",

	Subresources: []schema.Subresource{
		schema.Status(prepareClaimStatus, validateClaimStatus),
	},
	UnconditionalUpdate: true,
	ReturnsDeleted:      true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	PrepareCreate:  schema.Preparation(prepareClaimCreate),
	PrepareUpdate:  schema.UpdatePreparation(prepareClaimUpdate),
	Validate:       schema.Validation(validateClaim),
	ValidateUpdate: schema.UpdateValidation(validateClaimUpdate),
	Warnings:       schema.Warnings(claimWarnings),
}

// DefaultClaim fills a claim.
func DefaultClaim(pvc *corev1.PersistentVolumeClaim) {
	setIfZero(&pvc.Status.Phase, corev1.ClaimPending)
	defaultClaimSpec(&pvc.Spec)
	roundResources(pvc.Status.Capacity)
	roundResources(pvc.Status.AllocatedResources)
}

func defaultClaimSpec(s *corev1.PersistentVolumeClaimSpec) {
	SetIfNil(&s.VolumeMode, corev1.PersistentVolumeFilesystem)
	roundResources(s.Resources.Limits)
	roundResources(s.Resources.Requests)
}

func prepareClaimCreate(pvc *corev1.PersistentVolumeClaim) {
	pvc.Status = corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending}
	dropDataSources(&pvc.Spec, &corev1.PersistentVolumeClaimSpec{})
	completeDataSources(&pvc.Spec)
}

func prepareClaimUpdate(pvc, old *corev1.PersistentVolumeClaim) {
	pvc.Status = old.Status
	dropDataSources(&pvc.Spec, &old.Spec)
	completeDataSources(&pvc.Spec)
}

func prepareClaimStatus(pvc, old *corev1.PersistentVolumeClaim) { pvc.Spec = old.Spec }

// dropDataSources clears data sources that Kubernetes 1.36 has off, unless old has some: those of another namespace, and those in
// dataSource alone that are neither a claim nor a snapshot.
func dropDataSources(s, old *corev1.PersistentVolumeClaimSpec) {
	if ref := s.DataSourceRef; ref != nil && ref.Namespace != nil && *ref.Namespace != "" && old.DataSourceRef == nil {
		s.DataSourceRef = nil
	}
	if old.DataSource == nil && old.DataSourceRef == nil && s.DataSourceRef == nil && !isClaimOrSnapshot(s.DataSource) {
		s.DataSource = nil
	}
}

func isClaimOrSnapshot(src *corev1.TypedLocalObjectReference) bool {
	if src == nil {
		return false
	}
	group := ""
	if src.APIGroup != nil {
		group = *src.APIGroup
	}
	return src.Kind == "PersistentVolumeClaim" && group == "" || src.Kind == "VolumeSnapshot" && group == "snapshot.storage.k8s.io"
}

// completeDataSources makes dataSource and dataSourceRef name one object where one of them is set, save for one of another namespace.
func completeDataSources(s *corev1.PersistentVolumeClaimSpec) {
	src, ref := s.DataSource, s.DataSourceRef
	switch {
	case src != nil && ref == nil:
		s.DataSourceRef = &corev1.TypedObjectReference{APIGroup: clone(src.APIGroup), Kind: src.Kind, Name: src.Name}
	case src == nil && ref != nil && (ref.Namespace == nil || *ref.Namespace == ""):
		s.DataSource = &corev1.TypedLocalObjectReference{APIGroup: clone(ref.APIGroup), Kind: ref.Kind, Name: ref.Name}
	}
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

const classNote = `deprecated since v1.8; use "storageClassName" attribute instead`

func claimWarnings(pvc, _ *corev1.PersistentVolumeClaim) (w []string) {
	if _, there := pvc.Annotations[corev1.BetaStorageClassAnnotation]; there {
		w = append(w, fmt.Sprintf("%s: %s", field.NewPath("metadata", "annotations").Key(corev1.BetaStorageClassAnnotation), classNote))
	}
	return append(w, ClaimSpecWarnings(&pvc.Spec, specPath)...)
}

// ClaimSpecWarnings warns of fractions of a byte.
func ClaimSpecWarnings(s *corev1.PersistentVolumeClaimSpec, p *field.Path) (w []string) {
	for _, l := range []struct {
		name string
		list corev1.ResourceList
	}{{"requests", s.Resources.Requests}, {"limits", s.Resources.Limits}} {
		if q := l.list[corev1.ResourceStorage]; q.MilliValue()%1000 != 0 {
			w = append(w, fmt.Sprintf("%s: fractional byte value %q is invalid, must be an integer", p.Child("resources", l.name).Key(string(corev1.ResourceStorage)), q.String()))
		}
	}
	return w
}
