package networking

import (
	networkingv1 "k8s.io/api/networking/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"gantry/schema/internal/check"
)

var cidrsPath = specPath.Child("cidrs")

// validateServiceCIDR checks that there are one or two ranges in canonical form, two of different families.
func validateServiceCIDR(c *networkingv1.ServiceCIDR) field.ErrorList {
	var f check.Errors
	cidrs := c.Spec.CIDRs
	switch {
	case len(cidrs) == 0:
		f.Required(cidrsPath, "at least one CIDR required")
		return f.List
	case len(cidrs) > 2:
		f.Invalid(cidrsPath, struct{ CIDRs []string }{cidrs}, "may only hold up to 2 values") // the spec as Kubernetes' internal type
		return f.List
	}
	for i, cidr := range cidrs {
		f.Add(validation.IsValidCIDR(cidrsPath.Index(i), cidr)...)
	}
	if len(cidrs) == 2 {
		family := netutils.IPFamilyOfCIDRString(cidrs[0])
		if family == netutils.IPFamilyOfCIDRString(cidrs[1]) && family != netutils.IPFamilyUnknown {
			f.Invalid(cidrsPath, cidrs, "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64")
		}
	}
	return f.List
}

// validateServiceCIDRUpdate checks that the ranges stay, save that one of the other family may be added.
func validateServiceCIDRUpdate(c, old *networkingv1.ServiceCIDR) field.ErrorList {
	var f check.Errors
	is, was := c.Spec.CIDRs, old.Spec.CIDRs
	switch {
	case len(is) == len(was):
		for i := range is {
			if is[i] != was[i] {
				f.Invalid(cidrsPath.Index(i), is[i], apivalidation.FieldImmutableErrorMsg)
			}
		}
	case len(was) == 1 && len(is) == 2:
		if is[0] != was[0] {
			f.Invalid(cidrsPath.Index(0), is[0], apivalidation.FieldImmutableErrorMsg)
		}
		f.Add(validateServiceCIDR(c)...)
	default:
		f.Invalid(cidrsPath, is, apivalidation.FieldImmutableErrorMsg)
	}
	return f.List
}

// validateServiceCIDRStatus finds no errors: conditions are not checked.
func validateServiceCIDRStatus(_, _ *networkingv1.ServiceCIDR) field.ErrorList { return nil }
