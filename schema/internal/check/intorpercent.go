package check

import (
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
)

// IntOrPercent requires a number that is not negative, or a percentage.
func (f *Errors) IntOrPercent(p *Path, v intstr.IntOrString) {
	switch v.Type {
	case intstr.Int:
		f.NotNegative(p, int64(v.IntVal))
	case intstr.String:
		f.Each(p, v, validation.IsValidPercent(v.StrVal))
	default:
		f.Invalid(p, v, "must be an integer or percentage (e.g '5%%')")
	}
}

// AtMost100Percent requires a percentage to be at most 100.
func (f *Errors) AtMost100Percent(p *Path, v intstr.IntOrString) {
	if n, ok := percent(v); ok && n > 100 {
		f.Invalid(p, v, "must not be greater than 100%")
	}
}

// IntOrPercentValue is the number of a number or a percentage; 0 for what is neither.
func IntOrPercentValue(v intstr.IntOrString) int {
	if n, ok := percent(v); ok {
		return n
	}
	return v.IntValue()
}

func percent(v intstr.IntOrString) (int, bool) {
	if v.Type != intstr.String || len(validation.IsValidPercent(v.StrVal)) > 0 {
		return 0, false
	}
	n, _ := strconv.Atoi(strings.TrimSuffix(v.StrVal, "%"))
	return n, true
}
