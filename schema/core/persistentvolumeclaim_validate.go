package core

import (
	"fmt"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

// claimCheck is one validation of a claim's spec. An update may keep what earlier versions of Kubernetes accepted.
type claimCheck struct {
	check.Errors
	selector metavalidation.LabelSelectorValidationOptions
	anyGroup bool // API groups of data sources are not checked
}

// validateClaim checks that
//   - there are access modes, and ReadWriteOncePod is alone;
//   - the selector is valid;
//   - the request for storage is more than nothing;
//   - classes are named validly;
//   - data sources have a kind and a name, and are one.
func validateClaim(pvc *corev1.PersistentVolumeClaim) field.ErrorList {
	return ValidateClaimSpec(&pvc.Spec, specPath)
}

// ValidateClaimSpec returns every error of the spec of a claim about to be created.
func ValidateClaimSpec(s *corev1.PersistentVolumeClaimSpec, p *field.Path) field.ErrorList {
	var c claimCheck
	c.checkSpec(s, p)
	return c.List
}

// validateClaimUpdate checks that the spec stays but for the volume and the class, which may be set once, and, while the claim is bound,
// the request for storage and the class of volume attributes.
func validateClaimUpdate(pvc, old *corev1.PersistentVolumeClaim) field.ErrorList {
	var c claimCheck
	c.selector.AllowInvalidLabelValueInSelector = len(metavalidation.ValidateLabelSelector(old.Spec.Selector, c.selector, specPath)) > 0
	c.anyGroup = old.Spec.DataSource != nil && old.Spec.DataSource.APIGroup != nil || old.Spec.DataSourceRef != nil && old.Spec.DataSourceRef.APIGroup != nil
	c.checkSpec(&pvc.Spec, specPath)
	was := old.Spec.DeepCopy()
	completeDataSources(was)
	c.checkSame(pvc, old, was)
	c.checkShrinks(pvc, old)
	c.Same(field.NewPath("volumeMode"), pvc.Spec.VolumeMode, old.Spec.VolumeMode)
	c.checkAttributesClass(pvc, old)
	return c.List
}

func (c *claimCheck) checkSpec(s *corev1.PersistentVolumeClaimSpec, p *field.Path) {
	modes := p.Child("accessModes")
	if len(s.AccessModes) == 0 {
		c.Required(modes, "at least 1 access mode is required")
	}
	if s.Selector != nil {
		c.Add(metavalidation.ValidateLabelSelector(s.Selector, c.selector, p.Child("selector"))...)
	}
	checkAccessModes(&c.Errors, s.AccessModes, modes)
	size := p.Child("resources").Key(string(corev1.ResourceStorage))
	if q, ok := s.Resources.Requests[corev1.ResourceStorage]; !ok {
		c.Required(size, "")
	} else {
		checkPositive(&c.Errors, q, size)
	}
	c.checkClass(s.StorageClassName, p.Child("storageClassName"))
	if s.VolumeMode != nil {
		check.OneOf(&c.Errors, p.Child("volumeMode"), *s.VolumeMode, corev1.PersistentVolumeBlock, corev1.PersistentVolumeFilesystem)
	}
	c.checkDataSources(s, p)
	c.checkClass(s.VolumeAttributesClassName, p.Child("volumeAttributesClassName"))
}

func (c *claimCheck) checkClass(name *string, p *field.Path) {
	if name != nil && *name != "" {
		c.Subdomain(p, *name)
	}
}

func checkAccessModes(f *check.Errors, modes []corev1.PersistentVolumeAccessMode, p *field.Path) {
	for _, m := range modes {
		check.OneOf(f, p, m, corev1.ReadOnlyMany, corev1.ReadWriteMany, corev1.ReadWriteOnce, corev1.ReadWriteOncePod)
	}
	shared := slices.ContainsFunc(modes, func(m corev1.PersistentVolumeAccessMode) bool {
		return m == corev1.ReadOnlyMany || m == corev1.ReadWriteMany || m == corev1.ReadWriteOnce
	})
	if shared && slices.Contains(modes, corev1.ReadWriteOncePod) {
		f.Forbidden(p, "may not use ReadWriteOncePod with other access modes")
	}
}

// checkPositive requires an amount of more than nothing.
func checkPositive(f *check.Errors, q resource.Quantity, p *field.Path) {
	if q.Sign() <= 0 {
		f.Invalid(p, q.String(), "must be greater than zero")
	}
}

// checkBasic requires an amount that is not negative.
func checkBasic(f *check.Errors, q resource.Quantity, p *field.Path) (ok bool) {
	if q.Value() < 0 {
		f.Invalid(p, q.Value(), "must be a valid resource quantity")
		return false
	}
	return true
}

func (c *claimCheck) checkDataSources(s *corev1.PersistentVolumeClaimSpec, p *field.Path) {
	src, ref := s.DataSource, s.DataSourceRef
	if src != nil {
		c.checkDataSource(src.APIGroup, src.Kind, src.Name, p.Child("dataSource"))
	}
	if ref == nil {
		return
	}
	c.checkDataSource(ref.APIGroup, ref.Kind, ref.Name, p.Child("dataSourceRef"))
	if ref.Namespace != nil && *ref.Namespace != "" {
		c.Label(p.Child("dataSourceRef", "namespace"), *ref.Namespace)
		if src != nil {
			c.Invalid(p, p.Child("dataSource"), "may not be specified when dataSourceRef.namespace is specified")
		}
	} else if src != nil && !(reflect.DeepEqual(src.APIGroup, ref.APIGroup) && src.Kind == ref.Kind && src.Name == ref.Name) {
		c.Invalid(p, p.Child("dataSource"), "must match dataSourceRef")
	}
}

func (c *claimCheck) checkDataSource(group *string, kind, name string, p *field.Path) {
	c.Set(p.Child("name"), name)
	c.Set(p.Child("kind"), kind)
	switch {
	case group == nil || *group == "":
		if kind != "PersistentVolumeClaim" {
			c.Invalid(p, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup")
		}
	case !c.anyGroup:
		c.Subdomain(p.Child("apiGroup"), *group)
	}
}

// checkSame checks that the spec is what it was, which is was; nothing of the arguments is changed.
func (c *claimCheck) checkSame(pvc, old *corev1.PersistentVolumeClaim, was *corev1.PersistentVolumeClaimSpec) {
	const annotation = corev1.BetaStorageClassAnnotation
	is := pvc.Spec.DeepCopy()
	if old.Spec.VolumeName == "" {
		was.VolumeName = is.VolumeName
	}
	class, annotated := old.Annotations[annotation]
	newClass, newAnnotated := pvc.Annotations[annotation]
	names := old.Spec.StorageClassName == nil && is.StorageClassName != nil // it gets a name
	if names && annotated && *is.StorageClassName == class && (!newAnnotated || newClass == class) {
		is.StorageClassName = nil
	} else {
		if newClass != class {
			c.Invalid(field.NewPath("metadata", "annotations", annotation), newClass, apivalidation.FieldImmutableErrorMsg)
		}
		if names && (!annotated || *is.StorageClassName == class) {
			is.StorageClassName = nil
		}
	}
	if pvc.Status.Phase == corev1.ClaimBound {
		if is.Resources.Requests != nil {
			is.Resources.Requests[corev1.ResourceStorage] = old.Spec.Resources.Requests[corev1.ResourceStorage]
		}
		is.VolumeAttributesClassName = was.VolumeAttributesClassName
	}
	if !equality.Semantic.DeepEqual(*is, *was) {
		c.Forbidden(specPath, fmt.Sprintf("spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n%v",
			difference(check.Quoted(*was), check.Quoted(*is))))
	}
}

// checkShrinks checks that a request that gets smaller stays above what the volume has.
func (c *claimCheck) checkShrinks(pvc, old *corev1.PersistentVolumeClaim) {
	is, was := pvc.Spec.Resources.Requests[corev1.ResourceStorage], old.Spec.Resources.Requests[corev1.ResourceStorage]
	if is.Cmp(was) < 0 && is.Cmp(old.Status.Capacity[corev1.ResourceStorage]) <= 0 {
		c.Forbidden(specPath.Child("resources", "requests", "storage"), "field can not be less than status.capacity")
	}
}

// checkAttributesClass checks that a class that the volume has been given is not removed.
func (c *claimCheck) checkAttributesClass(pvc, old *corev1.PersistentVolumeClaim) {
	is, was := pvc.Spec.VolumeAttributesClassName, old.Spec.VolumeAttributesClassName
	if equality.Semantic.DeepEqual(is, was) || old.Status.CurrentVolumeAttributesClassName == nil {
		return
	}
	p := specPath.Child("volumeAttributesClassName")
	if is == nil {
		c.Forbidden(p, "update to nil is forbidden when status.currentVolumeAttributesClassName is not nil")
	} else if *is == "" {
		c.Forbidden(p, "update to empty string is forbidden when status.currentVolumeAttributesClassName is not nil")
	}
}

// validateClaimStatus checks amounts and the states of resizing.
func validateClaimStatus(pvc, _ *corev1.PersistentVolumeClaim) field.ErrorList {
	var f check.Errors
	if len(pvc.Spec.AccessModes) == 0 {
		f.Required(field.NewPath("Spec", "accessModes"), "") // as Kubernetes spells it
	}
	status := field.NewPath("status")
	for _, name := range sortedNames(pvc.Status.Capacity) {
		checkBasic(&f, pvc.Status.Capacity[name], status.Child("capacity").Key(string(name)))
	}
	resizing := status.Child("allocatedResourceStatuses")
	for _, name := range sortedKeys(pvc.Status.AllocatedResourceStatuses) {
		checkClaimResource(&f, name, resizing)
		if !slices.Contains(resizeStates, pvc.Status.AllocatedResourceStatuses[name]) {
			f.Add(field.NotSupported(resizing, name, resizeStates))
		}
	}
	allocated := status.Child("allocatedResources")
	for _, name := range sortedNames(pvc.Status.AllocatedResources) {
		q, at := pvc.Status.AllocatedResources[name], allocated.Key(string(name))
		if checkClaimResource(&f, name, allocated) && checkBasic(&f, q, at) {
			checkQuantity(&f, corev1.ResourceStorage, q, at)
		}
	}
	return f.List
}

var resizeStates = []corev1.ClaimResourceStatus{
	corev1.PersistentVolumeClaimControllerResizeInProgress, corev1.PersistentVolumeClaimControllerResizeInfeasible,
	corev1.PersistentVolumeClaimNodeResizeInProgress, corev1.PersistentVolumeClaimNodeResizeInfeasible, corev1.PersistentVolumeClaimNodeResizePending,
}

// checkClaimResource checks the name of a resource that a claim has got: storage is the only one of Kubernetes itself.
func checkClaimResource(f *check.Errors, name corev1.ResourceName, p *field.Path) (ok bool) {
	before := f.Count()
	if f.Qualified(p, string(name)); f.Count() == before && isNative(name) && name != corev1.ResourceStorage {
		f.Add(field.NotSupported(p, string(name), []corev1.ResourceName{corev1.ResourceStorage}))
	}
	return f.Count() == before
}
