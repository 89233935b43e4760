package core

import (
	"reflect"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
	"gantry/schema/pods"
)

// checkClaimTemplate checks the claim an ephemeral volume is made from.
func (c *podCheck) checkClaimTemplate(t *corev1.PersistentVolumeClaimTemplate, p *field.Path) {
	CheckTemplateMeta(&c.Errors, &t.ObjectMeta, p.Child("metadata"))
	c.Add(ValidateClaimSpec(&t.Spec, p.Child("spec"))...)
}

// CheckTemplateMeta checks the metadata of what claims are made from: labels and annotations only.
func CheckTemplateMeta(f *check.Errors, m *metav1.ObjectMeta, p *field.Path) {
	f.Add(apivalidation.ValidateAnnotations(m.Annotations, p.Child("annotations"))...)
	f.Add(metavalidation.ValidateLabels(m.Labels, p.Child("labels"))...)
	v := reflect.ValueOf(*m)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if name != "Annotations" && name != "Labels" && !v.Field(i).IsZero() {
			f.Forbidden(p.Child(lowerFirst(name)), "cannot be set")
		}
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
		c.Invalid(p, check.Quoted(*claim), "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified")
	}
	if byName == nil && byTemplate == nil {
		c.Invalid(p, check.Quoted(*claim), "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`")
	}
	if byName != nil {
		c.Subdomain(p.Child("resourceClaimName"), *byName)
	}
	if byTemplate != nil {
		c.Subdomain(p.Child("resourceClaimTemplateName"), *byTemplate)
	}
}
