package networking

import (
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

// nameIsAddress is ValidateName: an address in its canonical form.
func nameIsAddress(name string, _ bool) (messages []string) {
	for _, err := range validation.IsValidIP(nil, name) {
		messages = append(messages, err.Detail)
	}
	return messages
}

// validateIPAddress checks that the parent is an object: a resource and a name, which may have a group and a namespace.
func validateIPAddress(a *networkingv1.IPAddress) field.ErrorList {
	var f check.Errors
	p, ref := specPath.Child("parentRef"), a.Spec.ParentRef
	if ref == nil {
		f.Required(p, "")
		return f.List
	}
	if ref.Group != "" {
		f.Subdomain(p.Child("group"), ref.Group)
	}
	checkSegment(&f, ref.Resource, p.Child("resource"))
	checkSegment(&f, ref.Name, p.Child("name"))
	if ref.Namespace != "" {
		f.Each(p.Child("namespace"), ref.Namespace, content.IsPathSegmentName(ref.Namespace))
	}
	return f.List
}

// validateIPAddressUpdate checks that the parent stays. The error shows it with the names of Kubernetes' internal type.
func validateIPAddressUpdate(a, old *networkingv1.IPAddress) field.ErrorList {
	var f check.Errors
	f.Add(validateIPAddress(a)...)
	if !equality.Semantic.DeepEqual(a.Spec.ParentRef, old.Spec.ParentRef) {
		type parent struct{ Group, Resource, Namespace, Name string }
		f.Invalid(specPath.Child("parentRef"), (*parent)(a.Spec.ParentRef), apivalidation.FieldImmutableErrorMsg)
	}
	return f.List
}
