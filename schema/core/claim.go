package core

import (
	"fmt"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
	"gantry/schema/pods"
)

// checkClaimTemplate checks the claim an ephemeral volume is made from.
func (c *podCheck) checkClaimTemplate(t *corev1.PersistentVolumeClaimTemplate, p *field.Path) {
	meta := p.Child("metadata")
	c.Add(apivalidation.ValidateAnnotations(t.Annotations, meta.Child("annotations"))...)
	c.Add(metavalidation.ValidateLabels(t.Labels, meta.Child("labels"))...)
	v := reflect.ValueOf(t.ObjectMeta)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if name != "Annotations" && name != "Labels" && !v.Field(i).IsZero() {
			c.Forbidden(meta.Child(lowerFirst(name)), "cannot be set")
		}
	}
	c.checkClaimSpec(&t.Spec, p.Child("spec"))
}

// ValidateClaimSpec returns every error of the spec of a claim about to be created.
func ValidateClaimSpec(s *corev1.PersistentVolumeClaimSpec, p *field.Path) field.ErrorList {
	var c podCheck
	c.checkClaimSpec(s, p)
	return c.List
}

// ClaimSpecWarnings warns of fractions of a byte.
func ClaimSpecWarnings(s *corev1.PersistentVolumeClaimSpec, p *field.Path) (w []string) {
	for _, l := range []struct {
		name string
		list corev1.ResourceList
	}{{"requests", s.Resources.Requests}, {"limits", s.Resources.Limits}} {
		if q := l.list[corev1.ResourceStorage]; q.MilliValue()%1000 != 0 {
			at := p.Child("resources", l.name).Key(string(corev1.ResourceStorage))
			w = append(w, fmt.Sprintf("%s: fractional byte value %q is invalid, must be an integer", at, q.String()))
		}
	}
	return w
}

// DefaultClaim fills a claim.
func DefaultClaim(claim *corev1.PersistentVolumeClaim) {
	setIfZero(&claim.Status.Phase, corev1.ClaimPending)
	SetIfNil(&claim.Spec.VolumeMode, corev1.PersistentVolumeFilesystem)
	for _, list := range []corev1.ResourceList{
		claim.Spec.Resources.Limits, claim.Spec.Resources.Requests, claim.Status.Capacity, claim.Status.AllocatedResources,
	} {
		roundResources(list)
	}
}

func (c *podCheck) checkClaimSpec(s *corev1.PersistentVolumeClaimSpec, p *field.Path) {
	c.checkAccessModes(s.AccessModes, p.Child("accessModes"))
	if s.Selector != nil {
		c.Add(metavalidation.ValidateLabelSelector(s.Selector, metavalidation.LabelSelectorValidationOptions{}, p.Child("selector"))...)
	}
	size := p.Child("resources").Key(string(corev1.ResourceStorage))
	if q, ok := s.Resources.Requests[corev1.ResourceStorage]; !ok {
		c.Required(size, "")
	} else if q.Cmp(resource.Quantity{}) <= 0 {
		c.Invalid(size, q.String(), "must be greater than zero")
	}
	if s.StorageClassName != nil && *s.StorageClassName != "" {
		c.Subdomain(p.Child("storageClassName"), *s.StorageClassName)
	}
	if s.VolumeMode != nil {
		check.OneOf(&c.Errors, p.Child("volumeMode"), *s.VolumeMode, corev1.PersistentVolumeBlock, corev1.PersistentVolumeFilesystem)
	}
	c.checkDataSources(s, p)
	if s.VolumeAttributesClassName != nil && *s.VolumeAttributesClassName != "" {
		c.Subdomain(p.Child("volumeAttributesClassName"), *s.VolumeAttributesClassName)
	}
}

func (c *podCheck) checkAccessModes(modes []corev1.PersistentVolumeAccessMode, p *field.Path) {
	if len(modes) == 0 {
		c.Required(p, "at least 1 access mode is required")
	}
	for _, m := range modes {
		check.OneOf(&c.Errors, p, m, corev1.ReadOnlyMany, corev1.ReadWriteMany, corev1.ReadWriteOnce, corev1.ReadWriteOncePod)
	}
	shared := slices.ContainsFunc(modes, func(m corev1.PersistentVolumeAccessMode) bool {
		return m == corev1.ReadOnlyMany || m == corev1.ReadWriteMany || m == corev1.ReadWriteOnce
	})
	if shared && slices.Contains(modes, corev1.ReadWriteOncePod) {
		c.Forbidden(p, "may not use ReadWriteOncePod with other access modes")
	}
}

func (c *podCheck) checkDataSources(s *corev1.PersistentVolumeClaimSpec, p *field.Path) {
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

func (c *podCheck) checkDataSource(group *string, kind, name string, p *field.Path) {
	c.Set(p.Child("name"), name)
	c.Set(p.Child("kind"), kind)
	if group != nil && *group != "" {
		c.Subdomain(p.Child("apiGroup"), *group)
	} else if kind != "PersistentVolumeClaim" {
		c.Invalid(p, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup")
	}
}

// checkClaims checks the pod's resource claims and collects their names, which containers refer to.
func (c *podCheck) checkClaims(list *field.Path) {
	if len(c.spec.ResourceClaims) == 0 {
		return
	}
	c.claims = make(map[string]bool, len(c.spec.ResourceClaims))
	for i := range c.spec.ResourceClaims {
		claim, p := &c.spec.ResourceClaims[i], list.Index(i)
		if c.isPod() && pods.IsMirror(c.meta.Annotations) {
			c.Forbidden(field.NewPath(""), "static pods do not support resource claims")
			continue
		}
		c.checkClaim(claim, p)
	}
	for i := range c.spec.ResourceClaims {
		if name := c.spec.ResourceClaims[i].Name; name != "" {
			c.claims[name] = true
		}
	}
}

func (c *podCheck) checkClaim(claim *corev1.PodResourceClaim, p *field.Path) {
	name := p.Child("name")
	if c.Set(name, claim.Name) {
		if c.claims[claim.Name] {
			c.Duplicate(name, claim.Name)
		} else {
			c.Label(name, claim.Name)
		}
		c.claims[claim.Name] = true
	}
	byName, byTemplate := claim.ResourceClaimName, claim.ResourceClaimTemplateName
	if byName != nil && byTemplate != nil {
		c.Invalid(p, *claim, "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified")
	}
	if byName == nil && byTemplate == nil {
		c.Invalid(p, *claim, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`")
	}
	if byName != nil {
		c.Subdomain(p.Child("resourceClaimName"), *byName)
	}
	if byTemplate != nil {
		c.Subdomain(p.Child("resourceClaimTemplateName"), *byTemplate)
	}
}
