package authorize

import (
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// accessErrors are the errors of the question about another user.
func accessErrors(s *authorizationv1.SubjectAccessReviewSpec) field.ErrorList {
	errs := oneOfAttributes(s.ResourceAttributes, s.NonResourceAttributes)
	if s.User == "" && len(s.Groups) == 0 {
		errs = append(errs, field.Invalid(field.NewPath("spec", "user"), s.User, "at least one of user or group must be specified"))
	}
	return append(errs, selectorErrors(s.ResourceAttributes)...)
}

// localErrors are those of a LocalSubjectAccessReview alone: it is about resources of its own namespace.
func localErrors(review *authorizationv1.LocalSubjectAccessReview) field.ErrorList {
	var errs field.ErrorList
	if m := review.ObjectMeta; !isEmpty(m, m.Namespace) {
		errs = append(errs, field.Invalid(field.NewPath("metadata"), m, "must be empty except for namespace"))
	}
	if a := review.Spec.ResourceAttributes; a != nil && a.Namespace != review.Namespace {
		errs = append(errs, field.Invalid(field.NewPath("spec.resourceAttributes.namespace"), a.Namespace, "must match metadata.namespace"))
	}
	if a := review.Spec.NonResourceAttributes; a != nil {
		errs = append(errs, field.Invalid(field.NewPath("spec.nonResourceAttributes"), a, "disallowed on this kind of request"))
	}
	return errs
}

func metadataErrors(m metav1.ObjectMeta) field.ErrorList {
	if isEmpty(m, "") {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("metadata"), m, "must be empty")}
}

// isEmpty tells whether metadata has nothing but a namespace.
func isEmpty(m metav1.ObjectMeta, namespace string) bool {
	return equality.Semantic.DeepEqual(m, metav1.ObjectMeta{Namespace: namespace})
}

func oneOfAttributes(res *authorizationv1.ResourceAttributes, path *authorizationv1.NonResourceAttributes) field.ErrorList {
	switch spec := field.NewPath("spec"); {
	case res != nil && path != nil:
		return field.ErrorList{field.Invalid(spec.Child("nonResourceAttributes"), path, "cannot be specified in combination with resourceAttributes")}
	case res == nil && path == nil:
		return field.ErrorList{field.Invalid(spec.Child("resourceAttributes"), path, "exactly one of nonResourceAttributes or resourceAttributes must be specified")}
	}
	return nil
}

// selectorErrors are those of the selectors' requirements. An operator that is not known is ignored, and said to be: see readSelectors.
func selectorErrors(res *authorizationv1.ResourceAttributes) (errs field.ErrorList) {
	if res == nil {
		return nil
	}
	attributes := field.NewPath("spec", "resourceAttributes")
	if s, path := res.FieldSelector, attributes.Child("fieldSelector"); s != nil {
		errs = append(errs, rawOrRequirements(s.RawSelector, len(s.Requirements), path)...)
		opts := metav1validation.FieldSelectorValidationOptions{AllowUnknownOperatorInRequirement: true}
		for i, one := range s.Requirements {
			errs = append(errs, metav1validation.ValidateFieldSelectorRequirement(one, opts, path.Child("requirements").Index(i))...)
		}
	}
	if s, path := res.LabelSelector, attributes.Child("labelSelector"); s != nil {
		errs = append(errs, rawOrRequirements(s.RawSelector, len(s.Requirements), path)...)
		opts := metav1validation.LabelSelectorValidationOptions{AllowUnknownOperatorInRequirement: true}
		for i, one := range s.Requirements {
			errs = append(errs, metav1validation.ValidateLabelSelectorRequirement(one, opts, path.Child("requirements").Index(i))...)
		}
	}
	return errs
}

func rawOrRequirements(raw string, requirements int, path *field.Path) field.ErrorList {
	switch {
	case raw != "" && requirements > 0:
		return field.ErrorList{field.Invalid(path.Child("rawSelector"), raw, "may not specified at the same time as requirements")}
	case raw == "" && requirements == 0:
		return field.ErrorList{field.Required(path.Child("requirements"), "when "+path.String()+" is specified, requirements or rawSelector is required")}
	}
	return nil
}
