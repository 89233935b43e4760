package coordination

import (
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

func validateLease(l *coordinationv1.Lease) field.ErrorList {
	var f check.Errors
	s, p := &l.Spec, field.NewPath("spec")
	if n := s.LeaseDurationSeconds; n != nil && *n <= 0 {
		f.Invalid(p.Child("leaseDurationSeconds"), *n, "must be greater than 0")
	}
	if n := s.LeaseTransitions; n != nil && *n < 0 {
		f.Invalid(p.Child("leaseTransitions"), *n, "must be greater than or equal to 0")
	}
	if s.Strategy != nil {
		at := p.Child("strategy", "strategy") // as Kubernetes says it
		if strings.Contains(string(*s.Strategy), "/") {
			f.Qualified(at, string(*s.Strategy))
		} else {
			check.OneOf(&f, at, *s.Strategy, coordinationv1.OldestEmulationVersion)
		}
	}
	if h := s.PreferredHolder; h != nil && *h != "" && (s.Strategy == nil || *s.Strategy == "") {
		f.Forbidden(p.Child("preferredHolder"), "may only be specified if `strategy` is defined")
	}
	return f.List
}

func validateLeaseUpdate(l, _ *coordinationv1.Lease) field.ErrorList { return validateLease(l) }
