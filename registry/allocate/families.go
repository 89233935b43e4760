package allocate

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/core"
)

// FillFamilies sets ipFamilies and ipFamilyPolicy of a Service in a cluster of the given families, the primary one first, and returns errors for
// what such a cluster does not support. old is nil where the Service is new. Errors of the addresses and families themselves come alone.
func FillFamilies(svc, old *corev1.Service, families []corev1.IPFamily) field.ErrorList {
	spec := &svc.Spec
	if spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	if spec.ClusterIP != "" && len(spec.ClusterIPs) == 0 {
		spec.ClusterIPs = []string{spec.ClusterIP}
	}
	var was *corev1.ServiceSpec
	if old != nil {
		was = &old.Spec
	}
	if prefersDualAsBefore(spec, was) {
		return nil
	}
	fillPolicy(spec, was)
	if errs := core.ValidateClusterIPs(spec, was); len(errs) > 0 {
		return errs
	}
	errs := checkRelease(spec, was)
	errs = append(errs, checkSingle(spec)...)
	errs = append(errs, fillFromIPs(spec, families)...)
	switch {
	case len(errs) > 0:
		return errs
	case spec.ClusterIP == corev1.ClusterIPNone && len(spec.Selector) == 0:
		fillSelf(spec, families[0])
		addOther(spec)
		return nil
	}
	if errs := checkConfigured(spec, families); len(errs) > 0 {
		return errs
	}
	fillSelf(spec, families[0])
	if len(families) == 2 {
		addOther(spec)
	}
	return nil
}

// fillSelf sets the primary family of a Service that names none.
func fillSelf(spec *corev1.ServiceSpec, primary corev1.IPFamily) {
	if len(spec.IPFamilies) == 0 {
		spec.IPFamilies = []corev1.IPFamily{primary}
	}
}

// addOther adds the second family of a Service of one family, unless it is to have one only.
func addOther(spec *corev1.ServiceSpec) {
	if len(spec.IPFamilies) > 1 || policyOf(spec) == corev1.IPFamilyPolicySingleStack {
		return
	}
	other := corev1.IPv6Protocol
	if spec.IPFamilies[0] == other {
		other = corev1.IPv4Protocol
	}
	spec.IPFamilies = append(spec.IPFamilies, other)
}

// prefersDualAsBefore tells whether an update leaves a Service that takes what there is as it was: when the cluster gains or loses a family, such
// Services stay as they are until they are changed.
func prefersDualAsBefore(spec, was *corev1.ServiceSpec) bool {
	return was != nil && spec.Type == was.Type && policyOf(spec) == corev1.IPFamilyPolicyPreferDualStack &&
		(was.IPFamilyPolicy == nil || policyOf(was) == corev1.IPFamilyPolicyPreferDualStack) &&
		slices.Equal(spec.ClusterIPs, was.ClusterIPs) && slices.Equal(spec.IPFamilies, was.IPFamilies)
}

func policyOf(spec *corev1.ServiceSpec) corev1.IPFamilyPolicy {
	if spec.IPFamilyPolicy == nil {
		return ""
	}
	return *spec.IPFamilyPolicy
}

// fillPolicy keeps the policy there was. A new headless Service without a selector has endpoints written by hand, of any family.
func fillPolicy(spec, was *corev1.ServiceSpec) {
	policy := corev1.IPFamilyPolicySingleStack
	switch {
	case spec.IPFamilyPolicy != nil:
		return
	case was != nil && was.IPFamilyPolicy != nil:
		policy = *was.IPFamilyPolicy
	case spec.ClusterIP == corev1.ClusterIPNone && len(spec.Selector) == 0:
		policy = corev1.IPFamilyPolicyRequireDualStack
	}
	spec.IPFamilyPolicy = &policy
}

// checkRelease releases the second address and family of what becomes single stack, and refuses to without that policy.
func checkRelease(spec, was *corev1.ServiceSpec) (errs field.ErrorList) {
	if was == nil {
		return nil
	}
	path := field.NewPath("spec", "ipFamilyPolicy")
	if policyOf(spec) == corev1.IPFamilyPolicySingleStack {
		if len(spec.ClusterIPs) > 1 && slices.Equal(spec.ClusterIPs, was.ClusterIPs) {
			spec.ClusterIPs = spec.ClusterIPs[:1]
		}
		if len(spec.IPFamilies) > 1 && slices.Equal(spec.IPFamilies, was.IPFamilies) {
			spec.IPFamilies = spec.IPFamilies[:1]
		}
		return nil
	}
	if n := len(spec.ClusterIPs); n > 0 && n < len(was.ClusterIPs) {
		errs = append(errs, field.Invalid(path, spec.IPFamilyPolicy, "must be 'SingleStack' to release the secondary cluster IP"))
	}
	if n := len(spec.IPFamilies); n > 0 && n < len(was.IPFamilies) {
		errs = append(errs, field.Invalid(path, spec.IPFamilyPolicy, "must be 'SingleStack' to release the secondary IP family"))
	}
	return errs
}

func checkSingle(spec *corev1.ServiceSpec) (errs field.ErrorList) {
	if policyOf(spec) != corev1.IPFamilyPolicySingleStack {
		return nil
	}
	path := field.NewPath("spec", "ipFamilyPolicy")
	if len(spec.ClusterIPs) == 2 {
		errs = append(errs, field.Invalid(path, spec.IPFamilyPolicy, "must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified"))
	}
	if len(spec.IPFamilies) == 2 {
		errs = append(errs, field.Invalid(path, spec.IPFamilyPolicy, "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified"))
	}
	return errs
}

// fillFromIPs adds the families of addresses that have none.
func fillFromIPs(spec *corev1.ServiceSpec, families []corev1.IPFamily) (errs field.ErrorList) {
	for i, ip := range spec.ClusterIPs {
		switch family := familyOfText(ip); {
		case ip == corev1.ClusterIPNone:
			return errs
		case i < len(spec.IPFamilies):
		case !slices.Contains(families, family):
			path := field.NewPath("spec", "clusterIPs").Index(i)
			errs = append(errs, field.Invalid(path, spec.ClusterIPs, fmt.Sprintf("%s is not configured on this cluster", family)))
		default:
			spec.IPFamilies = append(spec.IPFamilies, family)
		}
	}
	return errs
}

func checkConfigured(spec *corev1.ServiceSpec, families []corev1.IPFamily) (errs field.ErrorList) {
	if policyOf(spec) == corev1.IPFamilyPolicyRequireDualStack && len(families) < 2 {
		errs = append(errs, field.Invalid(field.NewPath("spec", "ipFamilyPolicy"), spec.IPFamilyPolicy, "this cluster is not configured for dual-stack services"))
	}
	for i, f := range spec.IPFamilies {
		if !slices.Contains(families, f) {
			errs = append(errs, field.Invalid(field.NewPath("spec", "ipFamilies").Index(i), f, "not configured on this cluster"))
		}
	}
	return errs
}
