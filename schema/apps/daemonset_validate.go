package apps

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/core"
	"gantry/schema/internal/check"
)

func validateDaemonSet(ds *appsv1.DaemonSet) field.ErrorList {
	return checkDaemonSet(ds, metavalidation.LabelSelectorValidationOptions{})
}

// validateDaemonSetUpdate allows values of labels in the selector that are invalid and were there before.
func validateDaemonSetUpdate(ds, old *appsv1.DaemonSet) field.ErrorList {
	var f check.Errors
	f.Same(field.NewPath("spec", "selector"), ds.Spec.Selector, old.Spec.Selector)
	f.Add(checkDaemonSet(ds, metavalidation.LabelSelectorValidationOptions{
		AllowInvalidLabelValueInSelector: metavalidation.LabelSelectorHasInvalidLabelValue(old.Spec.Selector),
	})...)
	return f.List
}

func checkDaemonSet(ds *appsv1.DaemonSet, o metavalidation.LabelSelectorValidationOptions) field.ErrorList {
	var f check.Errors
	spec, p := &ds.Spec, field.NewPath("spec")
	selector, template := p.Child("selector"), p.Child("template")
	f.Add(metavalidation.ValidateLabelSelector(spec.Selector, o, selector)...)
	s, err := metav1.LabelSelectorAsSelector(spec.Selector)
	if err == nil && !s.Matches(labels.Set(spec.Template.Labels)) {
		f.Invalid(template.Child("metadata", "labels"), spec.Template.Labels, "`selector` does not match template `labels`")
	}
	if spec.Selector != nil && len(spec.Selector.MatchLabels)+len(spec.Selector.MatchExpressions) == 0 {
		f.Invalid(selector, spec.Selector, "empty selector is invalid for daemonset")
	}
	f.Add(core.ValidatePodTemplate(&spec.Template, template)...)
	checkRunsForever(&f, &spec.Template, "DaemonSet", template)
	f.NotNegative(p.Child("minReadySeconds"), int64(spec.MinReadySeconds))
	if n, err := templateGeneration(ds); err != nil {
		f.Invalid(field.NewPath("metadata", "annotations").Key(generationKey), ds.Annotations[generationKey], "must be an integer")
	} else {
		f.NotNegative(p.Child("templateGeneration"), n)
	}
	checkDaemonSetStrategy(&f, &spec.UpdateStrategy, p.Child("updateStrategy"))
	if n := spec.RevisionHistoryLimit; n != nil {
		f.NotNegative(p.Child("revisionHistoryLimit"), int64(*n))
	}
	return f.List
}

func checkDaemonSetStrategy(f *check.Errors, s *appsv1.DaemonSetUpdateStrategy, p *field.Path) {
	switch s.Type {
	case appsv1.OnDeleteDaemonSetStrategyType:
	case appsv1.RollingUpdateDaemonSetStrategyType:
		if s.RollingUpdate == nil {
			f.Required(p.Child("rollingUpdate"), "")
			return
		}
		checkRollingDaemonSet(f, s.RollingUpdate, p.Child("rollingUpdate"))
	default:
		f.Add(field.NotSupported(p, check.Quoted(s), []appsv1.DaemonSetUpdateStrategyType{appsv1.RollingUpdateDaemonSetStrategyType, appsv1.OnDeleteDaemonSetStrategyType}))
	}
}

func checkRollingDaemonSet(f *check.Errors, r *appsv1.RollingUpdateDaemonSet, p *field.Path) {
	var unavailable, surge intstr.IntOrString
	if r.MaxUnavailable != nil {
		unavailable = *r.MaxUnavailable
	}
	if r.MaxSurge != nil {
		surge = *r.MaxSurge
	}
	atUnavailable, atSurge := p.Child("maxUnavailable"), p.Child("maxSurge")
	f.IntOrPercent(atUnavailable, unavailable)
	f.IntOrPercent(atSurge, surge)
	f.AtMost100Percent(atUnavailable, unavailable)
	f.AtMost100Percent(atSurge, surge)
	switch u, s := check.IntOrPercentValue(unavailable) != 0, check.IntOrPercentValue(surge) != 0; {
	case u && s:
		f.Invalid(atSurge, surge, "may not be set when maxUnavailable is non-zero")
	case !u && !s:
		f.Required(atUnavailable, "cannot be 0 when maxSurge is 0")
	}
}

func validateDaemonSetStatus(ds, old *appsv1.DaemonSet) field.ErrorList {
	var f check.Errors
	s, p := &ds.Status, field.NewPath("status")
	checkCounts(&f, p, counts{
		{"currentNumberScheduled", int64(s.CurrentNumberScheduled)}, {"numberMisscheduled", int64(s.NumberMisscheduled)},
		{"desiredNumberScheduled", int64(s.DesiredNumberScheduled)}, {"numberReady", int64(s.NumberReady)},
		{"observedGeneration", s.ObservedGeneration}, {"updatedNumberScheduled", int64(s.UpdatedNumberScheduled)},
		{"numberAvailable", int64(s.NumberAvailable)}, {"numberUnavailable", int64(s.NumberUnavailable)}, {"collisionCount", value(s.CollisionCount)},
	})
	checkCollisions(&f, s.CollisionCount, old.Status.CollisionCount, p)
	return f.List
}

func daemonSetWarnings(ds, old *appsv1.DaemonSet) []string {
	same := old != nil && equality.Semantic.DeepEqual(ds.Spec.Template, old.Spec.Template)
	return templateWarnings(ds, &ds.Spec.Template, false, same)
}

func boundDaemonSet(ds *appsv1.DaemonSet) field.ErrorList {
	return core.BoundPodSpec(&ds.Spec.Template.Spec, templateSpec)
}
