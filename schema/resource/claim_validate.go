package resource

import (
	"fmt"
	"strings"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/cel"
	"gantry/schema/core"
	"gantry/schema/internal/check"
)

var specPath = field.NewPath("spec")

func validateClaim(c *resourcev1.ResourceClaim) field.ErrorList {
	var f check.Errors
	checkClaim(&f, &c.Spec.Devices, specPath.Child("devices"))
	return f.List
}

// validateClaimUpdate: a spec never changes.
func validateClaimUpdate(c, old *resourcev1.ResourceClaim) field.ErrorList {
	var f check.Errors
	f.Same(specPath, c.Spec, old.Spec)
	return f.List
}

func validateTemplate(t *resourcev1.ResourceClaimTemplate) field.ErrorList {
	f := checkTemplate(t)
	return f.List
}

func validateTemplateUpdate(t, old *resourcev1.ResourceClaimTemplate) field.ErrorList {
	f := checkTemplate(t)
	f.Same(specPath, t.Spec, old.Spec)
	return f.List
}

func checkTemplate(t *resourcev1.ResourceClaimTemplate) (f check.Errors) {
	core.CheckTemplateMeta(&f, &t.Spec.ObjectMeta, specPath.Child("metadata"))
	checkClaim(&f, &t.Spec.Spec.Devices, specPath.Child("spec", "devices"))
	return f
}

// How many of each a claim may have.
const (
	maxRequests    = 32 // also of results
	maxConstraints = 32
	maxConfig      = 32
	maxSelectors   = 32
	maxAlternative = 8
)

// each checks a list of at most most elements, one by one; a longer one is not looked at.
func each[T any](f *check.Errors, list []T, most int, p *field.Path, one func(*T, *field.Path)) bool {
	if len(list) > most {
		f.Add(field.TooMany(p, len(list), most))
		return false
	}
	for i := range list {
		one(&list[i], p.Index(i))
	}
	return true
}

// eachOnce is each for elements of which no two have the same key.
func eachOnce[T any, K comparable](f *check.Errors, list []T, most int, p *field.Path, one func(*T, *field.Path), key func(*T) K) {
	if !each(f, list, most, p, one) {
		return
	}
	seen := map[K]bool{}
	for i := range list {
		k := key(&list[i])
		if seen[k] {
			f.Duplicate(p.Index(i), k)
		}
		seen[k] = true
	}
}

func itself(s *string) string { return *s }

func checkClaim(f *check.Errors, c *resourcev1.DeviceClaim, p *field.Path) {
	names, budget := requestNamesOf(c), &cel.Budget{}
	eachOnce(f, c.Requests, maxRequests, p.Child("requests"), func(r *resourcev1.DeviceRequest, at *field.Path) { checkRequest(f, budget, r, at) },
		func(r *resourcev1.DeviceRequest) string { return r.Name })
	each(f, c.Constraints, maxConstraints, p.Child("constraints"), func(r *resourcev1.DeviceConstraint, at *field.Path) {
		names.check(f, r.Requests, at.Child("requests"))
		switch {
		case r.MatchAttribute != nil:
			checkFullName(f, string(*r.MatchAttribute), at.Child("matchAttribute"))
		case r.DistinctAttribute != nil:
			checkFullName(f, string(*r.DistinctAttribute), at.Child("distinctAttribute"))
		default:
			f.Required(at, `exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set`)
		}
	})
	each(f, c.Config, maxConfig, p.Child("config"), func(r *resourcev1.DeviceClaimConfiguration, at *field.Path) {
		names.check(f, r.Requests, at.Child("requests"))
		checkConfig(f, &r.DeviceConfiguration, false, at)
	})
}

// requestNames are the names of a claim's requests, with those of their alternatives: "gpu", "gpu/large".
type requestNames map[string]bool

func requestNamesOf(c *resourcev1.DeviceClaim) requestNames {
	names := requestNames{}
	for _, r := range c.Requests {
		names[r.Name] = true
		for _, alternative := range r.FirstAvailable {
			names[r.Name+"/"+alternative.Name] = true
		}
	}
	return names
}

func (n requestNames) check(f *check.Errors, list []string, p *field.Path) {
	eachOnce(f, list, maxRequests, p, func(name *string, at *field.Path) { n.checkOne(f, *name, at) }, itself)
}

func (n requestNames) checkOne(f *check.Errors, name string, p *field.Path) {
	const unknown = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
	if strings.Count(name, "/") > 1 {
		f.Invalid(p, name, unknown)
		return
	}
	for part := range strings.SplitSeq(name, "/") {
		f.Label(p, part)
	}
	if !n[name] {
		f.Invalid(p, name, unknown)
	}
}

func checkRequest(f *check.Errors, budget *cel.Budget, r *resourcev1.DeviceRequest, p *field.Path) {
	f.Label(p.Child("name"), r.Name)
	const one = "exactly one of `exactly` or `firstAvailable` is required"
	switch {
	case r.Exactly == nil && len(r.FirstAvailable) == 0:
		f.Required(p, one)
	case r.Exactly != nil && len(r.FirstAvailable) > 0:
		f.Invalid(p, nil, one+", but multiple fields are set")
	case r.Exactly != nil:
		e := r.Exactly
		checkDevices(f, budget, e.DeviceClassName, e.Selectors, e.AllocationMode, e.Count, e.Tolerations, p.Child("exactly"))
	default:
		eachOnce(f, r.FirstAvailable, maxAlternative, p.Child("firstAvailable"), func(s *resourcev1.DeviceSubRequest, at *field.Path) {
			f.Label(at.Child("name"), s.Name)
			checkDevices(f, budget, s.DeviceClassName, s.Selectors, s.AllocationMode, s.Count, s.Tolerations, at)
		}, func(s *resourcev1.DeviceSubRequest) string { return s.Name })
	}
}

func checkDevices(f *check.Errors, budget *cel.Budget, class string, selectors []resourcev1.DeviceSelector, mode resourcev1.DeviceAllocationMode, count int64,
	tolerations []resourcev1.DeviceToleration, p *field.Path) {
	if name := p.Child("deviceClassName"); f.Set(name, class) {
		f.Subdomain(name, class)
	}
	checkSelectors(f, budget, selectors, false, p.Child("selectors"))
	switch mode {
	case resourcev1.DeviceAllocationModeAll:
		if count != 0 {
			f.Invalid(p.Child("count"), count, fmt.Sprintf("must not be specified when allocationMode is '%s'", mode))
		}
	case resourcev1.DeviceAllocationModeExactCount:
		f.Positive(p.Child("count"), count)
	default:
		check.OneOf(f, p.Child("allocationMode"), mode, resourcev1.DeviceAllocationModeAll, resourcev1.DeviceAllocationModeExactCount)
	}
	for i := range tolerations {
		checkToleration(f, &tolerations[i], p.Child("tolerations").Index(i))
	}
}

// validateClaimStatus checks that
//   - who uses the claim is told, each once, and only where devices are allocated; none is added to a claim that is being deleted;
//   - states are of allocated devices;
//   - an allocation is valid, and stays as it is until it is removed.
func validateClaimStatus(c, old *resourcev1.ResourceClaim) field.ErrorList {
	var f check.Errors
	s, p := &c.Status, field.NewPath("status")
	reserved := p.Child("reservedFor")
	eachOnce(&f, s.ReservedFor, 256, reserved, func(r *resourcev1.ResourceClaimConsumerReference, at *field.Path) {
		f.Set(at.Child("resource"), r.Resource)
		f.Set(at.Child("name"), r.Name)
		f.Set(at.Child("uid"), string(r.UID))
	}, func(r *resourcev1.ResourceClaimConsumerReference) string { return string(r.UID) })
	known := allocated(s.Allocation)
	eachOnce(&f, s.Devices, len(s.Devices), p.Child("devices"), func(d *resourcev1.AllocatedDeviceStatus, at *field.Path) {
		checkDeviceStatus(&f, d, known, at)
	}, deviceOf)
	if len(s.ReservedFor) > 0 {
		if s.Allocation == nil {
			f.Forbidden(reserved, "may not be specified when `allocated` is not set")
		} else if c.DeletionTimestamp != nil && addsConsumer(s.ReservedFor, old.Status.ReservedFor) {
			f.Forbidden(reserved, "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set")
		}
	}
	switch allocation := p.Child("allocation"); {
	case s.Allocation == nil:
	case old.Status.Allocation != nil:
		f.Same(allocation, s.Allocation, old.Status.Allocation)
	default:
		checkAllocation(&f, s.Allocation, requestNamesOf(&c.Spec.Devices), allocation)
	}
	return f.List
}

func addsConsumer(list, old []resourcev1.ResourceClaimConsumerReference) bool {
	had := map[resourcev1.ResourceClaimConsumerReference]bool{}
	for _, r := range old {
		had[r] = true
	}
	for _, r := range list {
		if !had[r] {
			return true
		}
	}
	return false
}
