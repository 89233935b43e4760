package core

import (
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
	"gantry/schema/internal/check"
)

func nameIsSubdomain(name string, prefix bool) []string {
	return apivalidation.NameIsDNSSubdomain(name, prefix)
}

func validateAnnotations(annotations map[string]string, p *field.Path) field.ErrorList {
	if len(annotations) == 0 {
		return nil
	}
	return apivalidation.ValidateAnnotations(annotations, p)
}

// validateFinalizer checks a finalizer of a namespace's spec: one of Kubernetes' own, or one with a domain.
func validateFinalizer(name string, p *field.Path) field.ErrorList {
	var f check.Errors
	f.Qualified(p, name)
	if !strings.Contains(name, "/") && !schema.StandardFinalizer(name) {
		f.Invalid(p, name, "name is neither a standard finalizer name nor is it fully qualified")
	}
	return f.List
}
