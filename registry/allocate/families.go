package allocate

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// FillFamilies sets ipFamilies and ipFamilyPolicy of a Service in a cluster of IPv4 alone, and returns errors for what such
// a cluster does not support.
func FillFamilies(svc *corev1.Service) (errs field.ErrorList) {
	spec := &svc.Spec
	if spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	if spec.ClusterIP != "" && len(spec.ClusterIPs) == 0 {
		spec.ClusterIPs = []string{spec.ClusterIP}
	}
	if spec.ClusterIP == corev1.ClusterIPNone && len(spec.Selector) == 0 {
		fillHeadless(spec)
		return nil
	}
	families := field.NewPath("spec", "ipFamilies")
	for i, f := range spec.IPFamilies {
		if f != corev1.IPv4Protocol {
			errs = append(errs, field.Invalid(families.Index(i), f, "not configured on this cluster"))
		}
	}
	for i, ip := range spec.ClusterIPs {
		if a, err := netip.ParseAddr(ip); err == nil && !a.Is4() {
			path := field.NewPath("spec", "clusterIPs").Index(i)
			errs = append(errs, field.Invalid(path, spec.ClusterIPs, fmt.Sprintf("family IPv6 of %s is not configured on this cluster", ip)))
		}
	}
	if p := spec.IPFamilyPolicy; p != nil && *p == corev1.IPFamilyPolicyRequireDualStack {
		errs = append(errs, field.Invalid(field.NewPath("spec", "ipFamilyPolicy"), *p, "this cluster is not configured for dual-stack services"))
	}
	if len(spec.IPFamilies) == 0 {
		spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
	}
	if spec.IPFamilyPolicy == nil {
		policy := corev1.IPFamilyPolicySingleStack
		spec.IPFamilyPolicy = &policy
	}
	return errs
}

// fillHeadless is for a headless Service without a selector: its endpoints are written by hand, of any family.
func fillHeadless(spec *corev1.ServiceSpec) {
	if spec.IPFamilyPolicy == nil {
		policy := corev1.IPFamilyPolicyRequireDualStack
		spec.IPFamilyPolicy = &policy
	}
	single := *spec.IPFamilyPolicy == corev1.IPFamilyPolicySingleStack
	switch {
	case len(spec.IPFamilies) == 0 && single:
		spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
	case len(spec.IPFamilies) == 0:
		spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
	case len(spec.IPFamilies) == 1 && !single:
		other := corev1.IPv6Protocol
		if spec.IPFamilies[0] == other {
			other = corev1.IPv4Protocol
		}
		spec.IPFamilies = append(spec.IPFamilies, other)
	}
}
