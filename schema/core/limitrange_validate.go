package core

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// limitCheck is one validation of a limit range.
type limitCheck struct{ podCheck }

// validateLimitRange checks that
//   - types are known or have a domain, and differ;
//   - resources are named as their type has them, and pods have no defaults;
//   - a claim's storage has a bound;
//   - min <= defaultRequest <= default <= max, and equal defaults of what cannot be overcommitted;
//   - 1 <= maxLimitRequestRatio <= max/min.
func validateLimitRange(r *corev1.LimitRange) field.ErrorList {
	var c limitCheck
	list, seen := specPath.Child("limits"), map[corev1.LimitType]bool{}
	for i := range r.Spec.Limits {
		l, p := &r.Spec.Limits[i], list.Index(i)
		c.checkType(l.Type, p.Child("type"))
		if seen[l.Type] {
			c.Duplicate(p.Child("type"), l.Type)
		}
		seen[l.Type] = true
		c.checkLimit(l, p)
	}
	return c.List
}

func validateLimitRangeUpdate(r, _ *corev1.LimitRange) field.ErrorList { return validateLimitRange(r) }

func (c *limitCheck) checkType(t corev1.LimitType, p *field.Path) {
	if wrong := validation.IsQualifiedName(string(t)); len(wrong) > 0 {
		c.Each(p, t, wrong)
		return
	}
	switch t {
	case corev1.LimitTypePod, corev1.LimitTypeContainer, corev1.LimitTypePersistentVolumeClaim:
	default:
		if !strings.Contains(string(t), "/") {
			c.Invalid(p, t, "must be a standard limit type or fully qualified")
		}
	}
}

func (c *limitCheck) checkLimit(l *corev1.LimitRangeItem, p *field.Path) {
	defaults, requests := l.Default, l.DefaultRequest
	c.checkNames(l.Type, l.Max, p.Child("max"))
	c.checkNames(l.Type, l.Min, p.Child("min"))
	if l.Type == corev1.LimitTypePod {
		const no = "may not be specified when `type` is 'Pod'"
		if len(defaults) > 0 {
			c.Forbidden(p.Child("default"), no)
		}
		if len(requests) > 0 {
			c.Forbidden(p.Child("defaultRequest"), no)
		}
		defaults, requests = nil, nil
	}
	c.checkNames(l.Type, defaults, p.Child("default"))
	c.checkNames(l.Type, requests, p.Child("defaultRequest"))
	if l.Type == corev1.LimitTypePersistentVolumeClaim {
		_, least := l.Min[corev1.ResourceStorage]
		if _, most := l.Max[corev1.ResourceStorage]; !least && !most {
			c.Required(p.Child("limits"), "either minimum or maximum storage value is required, but neither was provided")
		}
	}
	c.checkNames(l.Type, l.MaxLimitRequestRatio, p.Child("maxLimitRequestRatio"))
	all := corev1.ResourceList{}
	for _, list := range []corev1.ResourceList{l.Max, l.Min, defaults, requests, l.MaxLimitRequestRatio} {
		addMissing(all, list)
	}
	for _, name := range sortedNames(all) {
		c.checkAmounts(name, limitsOf(name, l, defaults, requests), p)
	}
}

func (c *limitCheck) checkNames(t corev1.LimitType, list corev1.ResourceList, p *field.Path) {
	for _, name := range sortedNames(list) {
		if t == corev1.LimitTypePod || t == corev1.LimitTypeContainer {
			c.containerResource(name, p.Key(string(name)))
		} else {
			checkResourceName(&c.Errors, name, p.Key(string(name)))
		}
	}
}

// limits are those of one resource; nil: there is none.
type limits struct{ min, max, preset, request, ratio *resource.Quantity }

func limitsOf(name corev1.ResourceName, l *corev1.LimitRangeItem, defaults, requests corev1.ResourceList) limits {
	of := func(list corev1.ResourceList) *resource.Quantity {
		if q, there := list[name]; there {
			return &q
		}
		return nil
	}
	return limits{of(l.Min), of(l.Max), of(defaults), of(requests), of(l.MaxLimitRequestRatio)}
}

func (c *limitCheck) checkAmounts(name corev1.ResourceName, l limits, p *field.Path) {
	at := func(list string) *field.Path { return p.Child(list).Key(string(name)) }
	// ordered has an error, which shows the value of field is, where low is above high.
	ordered := func(low, high *resource.Quantity, list string, is *resource.Quantity, format string) {
		if low != nil && high != nil && low.Cmp(*high) > 0 {
			c.Invalid(at(list), *is, fmt.Sprintf(format, low.String(), high.String()))
		}
	}
	ordered(l.min, l.max, "min", l.min, "min value %s is greater than max value %s")
	ordered(l.min, l.request, "defaultRequest", l.request, "min value %s is greater than default request value %s")
	ordered(l.request, l.max, "defaultRequest", l.request, "default request value %s is greater than max value %s")
	ordered(l.request, l.preset, "defaultRequest", l.request, "default request value %s is greater than default limit value %s")
	ordered(l.min, l.preset, "default", l.min, "min value %s is greater than default value %s")
	ordered(l.preset, l.max, "default", l.max, "default value %s is greater than max value %s")
	if l.ratio != nil {
		c.checkRatio(l, at("maxLimitRequestRatio"))
	}
	if !overcommitable(name) && l.preset != nil && l.request != nil && l.preset.Cmp(*l.request) != 0 {
		c.Invalid(at("defaultRequest"), *l.request, fmt.Sprintf("default value %s must equal to defaultRequest value %s in %s", l.preset.String(), l.request.String(), name))
	}
}

func (c *limitCheck) checkRatio(l limits, p *field.Path) {
	if l.ratio.Cmp(*resource.NewQuantity(1, resource.DecimalSI)) < 0 {
		c.Invalid(p, *l.ratio, fmt.Sprintf("ratio %s is less than 1", l.ratio.String()))
	}
	if l.min == nil || l.max == nil {
		return
	}
	ratio, least, most := float64(l.ratio.Value()), l.min.Value(), l.max.Value()
	if l.ratio.Value() < resource.MaxMilliValue && least < resource.MaxMilliValue && most < resource.MaxMilliValue {
		ratio, least, most = float64(l.ratio.MilliValue())/1000, l.min.MilliValue(), l.max.MilliValue()
	}
	if highest := float64(most) / float64(least); ratio > highest {
		c.Invalid(p, *l.ratio, fmt.Sprintf("ratio %s is greater than max/min = %f", l.ratio.String(), highest))
	}
}
