package scheduling

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

func validatePriorityClass(c *schedulingv1.PriorityClass) field.ErrorList {
	var f check.Errors
	if strings.HasPrefix(c.Name, systemPrefix) {
		if wrong := unlikeSystemClass(c); wrong != "" {
			f.Forbidden(field.NewPath("metadata", "name"), "priority class names with '"+systemPrefix+"' prefix are reserved for system use only. error: "+wrong)
		}
	} else if c.Value > highestUserDefinable {
		f.Forbidden(field.NewPath("value"), fmt.Sprintf("maximum allowed value of a user defined priority is %v", highestUserDefinable))
	}
	if c.PreemptionPolicy != nil {
		check.SetOneOf(&f, field.NewPath("preemptionPolicy"), *c.PreemptionPolicy, corev1.PreemptLowerPriority, corev1.PreemptNever)
	}
	return f.List
}

// unlikeSystemClass says why a class is not the system's of that name; "": it is.
func unlikeSystemClass(c *schedulingv1.PriorityClass) string {
	system := SystemClass(c.Name)
	switch {
	case system == nil:
		return c.Name + " is not a known system priority class"
	case c.Value != system.Value:
		return fmt.Sprintf("value of %v PriorityClass must be %v", system.Name, system.Value)
	case c.GlobalDefault:
		return fmt.Sprintf("globalDefault of %v PriorityClass must be false", system.Name)
	}
	return ""
}

// validatePriorityClassUpdate checks what may not change, and nothing else: a global default may be any class then.
func validatePriorityClassUpdate(c, old *schedulingv1.PriorityClass) field.ErrorList {
	var f check.Errors
	if c.Value != old.Value {
		f.Forbidden(field.NewPath("value"), "may not be changed in an update.")
	}
	f.Same(field.NewPath("preemptionPolicy"), c.PreemptionPolicy, old.PreemptionPolicy)
	return f.List
}
