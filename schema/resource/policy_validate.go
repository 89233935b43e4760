package resource

import (
	"fmt"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

const maxOptions = 10

// checkRequestPolicy checks how much of a capacity one request may take: one of some amounts, or one within a range; the default is one
// of them.
func checkRequestPolicy(f *check.Errors, capacity resource.Quantity, r *resourcev1.CapacityRequestPolicy, p *field.Path) {
	options, valid := p.Child("validValues"), p.Child("validRange")
	switch {
	case len(r.ValidValues) > 0 && r.ValidRange != nil:
		f.Forbidden(p, `exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time`)
	case len(r.ValidValues) > 0 && r.Default == nil:
		f.Required(p.Child("default"), "required when validValues is defined")
	case len(r.ValidValues) > 0:
		checkOptions(f, *r.Default, capacity, r.ValidValues, options)
	case r.ValidRange != nil && r.Default == nil:
		f.Required(p.Child("default"), "required when validRange is defined")
	case r.ValidRange != nil:
		checkRange(f, *r.Default, capacity, r.ValidRange, valid)
	}
}

func checkOptions(f *check.Errors, one, capacity resource.Quantity, list []resource.Quantity, p *field.Path) {
	for i := 1; i < len(list); i++ {
		if list[i-1].Cmp(list[i]) > 0 {
			f.Invalid(p.Index(i), list[i].String(), "values must be sorted in ascending order")
		}
	}
	found := false
	eachOnce(f, list, maxOptions, p, func(q *resource.Quantity, at *field.Path) {
		if q.Cmp(capacity) > 0 {
			f.Invalid(at, q.String(), fmt.Sprintf("option is larger than capacity value: %s", capacity.String()))
		}
		found = found || q.Cmp(one) == 0
	}, func(q *resource.Quantity) string { return fmt.Sprint(q.Value()) })
	if !found {
		f.Invalid(p, one.String(), "default value is not valid according to the requestPolicy")
	}
}

func checkRange(f *check.Errors, one, capacity resource.Quantity, r *resourcev1.CapacityRequestPolicyRange, p *field.Path) {
	least, most, step := p.Child("min"), p.Child("max"), p.Child("step")
	if r.Min == nil {
		f.Required(least, "required when validRange is defined")
		return
	}
	if r.Min.Cmp(capacity) > 0 {
		f.Invalid(least, r.Min.String(), fmt.Sprintf("min is larger than capacity value: %s", capacity.String()))
	}
	if one.Cmp(*r.Min) < 0 {
		f.Invalid(least, one.String(), fmt.Sprintf("default is less than min: %s", r.Min.String()))
	}
	if r.Max != nil {
		if r.Min.Cmp(*r.Max) > 0 {
			f.Invalid(most, r.Min.String(), fmt.Sprintf("min is larger than max: %s", r.Max.String()))
		}
		if r.Max.Cmp(capacity) > 0 {
			f.Invalid(most, r.Max.String(), fmt.Sprintf("max is larger than capacity value: %s", capacity.String()))
		}
		if one.Cmp(*r.Max) > 0 {
			f.Invalid(most, one.String(), fmt.Sprintf("default is more than max: %s", r.Max.String()))
		}
	}
	if r.Step == nil {
		return
	}
	next := r.Min.DeepCopy()
	if next.Add(*r.Step); next.Cmp(capacity) > 0 {
		f.Invalid(step, r.Step.String(), fmt.Sprintf("one step %s is larger than capacity value: %s", next.String(), capacity.String()))
	}
	checkStep(f, one, *r.Min, *r.Step, step)
	if r.Max != nil {
		checkStep(f, *r.Max, *r.Min, *r.Step, step)
	}
}

// checkStep requires value to be so many steps from least. No value is a number of empty steps.
func checkStep(f *check.Errors, value, least, step resource.Quantity, p *field.Path) {
	if n := step.Value(); n == 0 || (value.Value()-least.Value())%n != 0 {
		f.Invalid(p, value.String(), fmt.Sprintf("value is not a multiple of a given step (%s) from (%s)", step.String(), least.String()))
	}
}
