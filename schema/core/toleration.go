package core

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

func (c *podCheck) checkTolerations(list []corev1.Toleration, p *field.Path) {
	for i := range list {
		checkToleration(&c.Errors, &list[i], p.Index(i))
	}
}

// ValidateTolerations returns every error of the tolerations at p, a list in another object than a pod.
func ValidateTolerations(list []corev1.Toleration, p *field.Path) field.ErrorList {
	var c podCheck
	c.checkTolerations(list, p)
	return c.List
}

func checkToleration(f *check.Errors, t *corev1.Toleration, p *field.Path) {
	operator := p.Child("operator")
	if t.Key != "" {
		f.Add(metavalidation.ValidateLabelName(t.Key, p.Child("key"))...)
	} else if t.Operator != corev1.TolerationOpExists {
		f.Invalid(operator, t.Operator, "operator must be Exists when `key` is empty, which means \"match all values and all keys\"")
	}
	if t.TolerationSeconds != nil && t.Effect != corev1.TaintEffectNoExecute {
		f.Invalid(p.Child("effect"), t.Effect, "effect must be 'NoExecute' when `tolerationSeconds` is set")
	}
	switch t.Operator {
	case corev1.TolerationOpEqual, "":
		if wrong := validation.IsValidLabelValue(t.Value); len(wrong) > 0 {
			f.Invalid(operator, t.Value, strings.Join(wrong, ";"))
		}
	case corev1.TolerationOpExists:
		if t.Value != "" {
			f.Invalid(operator, t.Value, "value must be empty when `operator` is 'Exists'")
		}
	case corev1.TolerationOpLt, corev1.TolerationOpGt: // known, but of a feature that is off in 1.36
		f.Add(field.NotSupported(operator, t.Operator, []corev1.TolerationOperator{corev1.TolerationOpEqual, corev1.TolerationOpExists, corev1.TolerationOpLt, corev1.TolerationOpGt}))
	default:
		f.Add(field.NotSupported(operator, t.Operator, []corev1.TolerationOperator{corev1.TolerationOpEqual, corev1.TolerationOpExists}))
	}
	if t.Effect != "" {
		checkTaintEffect(f, t.Effect, p.Child("effect"))
	}
}

func checkTaintEffect(f *check.Errors, effect corev1.TaintEffect, p *field.Path) {
	check.SetOneOf(f, p, effect, corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute)
}
