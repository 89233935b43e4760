package apps

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/core"
	"gantry/schema/internal/check"
)

func validateDeployment(d *appsv1.Deployment) field.ErrorList {
	var f check.Errors
	spec, p := &d.Spec, field.NewPath("spec")
	checkReplicas(&f, spec.Replicas, p)
	checkSelector(&f, spec.Selector, &spec.Template, p)
	checkStrategy(&f, &spec.Strategy, p.Child("strategy"))
	f.NotNegative(p.Child("minReadySeconds"), int64(spec.MinReadySeconds))
	if n := spec.RevisionHistoryLimit; n != nil {
		f.NotNegative(p.Child("revisionHistoryLimit"), int64(*n))
	}
	if n := spec.ProgressDeadlineSeconds; n != nil {
		f.NotNegative(p.Child("progressDeadlineSeconds"), int64(*n))
		if *n <= spec.MinReadySeconds {
			f.Invalid(p.Child("progressDeadlineSeconds"), *n, "must be greater than minReadySeconds")
		}
	}
	return f.List
}

func validateDeploymentUpdate(d, old *appsv1.Deployment) field.ErrorList {
	var f check.Errors
	f.Same(field.NewPath("spec", "selector"), d.Spec.Selector, old.Spec.Selector)
	return append(validateDeployment(d), f.List...)
}

func checkStrategy(f *check.Errors, s *appsv1.DeploymentStrategy, p *field.Path) {
	rolling := p.Child("rollingUpdate")
	switch s.Type {
	case appsv1.RecreateDeploymentStrategyType:
		if s.RollingUpdate != nil {
			f.Forbidden(rolling, "may not be specified when strategy `type` is 'Recreate'")
		}
	case appsv1.RollingUpdateDeploymentStrategyType:
		if s.RollingUpdate == nil {
			f.Required(rolling, "this should be defaulted and never be nil")
			return
		}
		checkRolling(f, s.RollingUpdate, rolling)
	default:
		f.Add(field.NotSupported(p, check.Quoted(s), []appsv1.DeploymentStrategyType{appsv1.RecreateDeploymentStrategyType, appsv1.RollingUpdateDeploymentStrategyType}))
	}
}

func checkRolling(f *check.Errors, r *appsv1.RollingUpdateDeployment, p *field.Path) {
	var unavailable, surge intstr.IntOrString
	if r.MaxUnavailable != nil {
		unavailable = *r.MaxUnavailable
	}
	if r.MaxSurge != nil {
		surge = *r.MaxSurge
	}
	at := p.Child("maxUnavailable")
	f.IntOrPercent(at, unavailable)
	f.IntOrPercent(p.Child("maxSurge"), surge)
	if check.IntOrPercentValue(unavailable) == 0 && check.IntOrPercentValue(surge) == 0 {
		f.Invalid(at, unavailable, "may not be 0 when `maxSurge` is 0")
	}
	f.AtMost100Percent(at, unavailable)
}

func validateDeploymentStatus(d, old *appsv1.Deployment) field.ErrorList {
	var f check.Errors
	s, p := &d.Status, field.NewPath("status")
	checkCounts(&f, p, counts{
		{"observedGeneration", s.ObservedGeneration}, {"replicas", int64(s.Replicas)}, {"updatedReplicas", int64(s.UpdatedReplicas)},
		{"readyReplicas", int64(s.ReadyReplicas)}, {"availableReplicas", int64(s.AvailableReplicas)}, {"unavailableReplicas", int64(s.UnavailableReplicas)},
		{"terminatingReplicas", value(s.TerminatingReplicas)}, {"collisionCount", value(s.CollisionCount)},
	})
	checkParts(&f, p, s.Replicas, counts{
		{"updatedReplicas", int64(s.UpdatedReplicas)}, {"readyReplicas", int64(s.ReadyReplicas)}, {"availableReplicas", int64(s.AvailableReplicas)},
	})
	checkAvailable(&f, p, s.AvailableReplicas, s.ReadyReplicas)
	checkCollisions(&f, s.CollisionCount, old.Status.CollisionCount, p)
	return f.List
}

func deploymentWarnings(d, old *appsv1.Deployment) []string {
	return templateWarnings(d, &d.Spec.Template, old == nil, old != nil && d.Generation == old.Generation)
}

func boundDeployment(d *appsv1.Deployment) field.ErrorList {
	return core.BoundPodSpec(&d.Spec.Template.Spec, templateSpec)
}
