package apps

import (
	"fmt"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
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

func validateReplicaSet(rs *appsv1.ReplicaSet) field.ErrorList {
	var f check.Errors
	p := field.NewPath("spec")
	checkReplicas(&f, rs.Spec.Replicas, p)
	f.NotNegative(p.Child("minReadySeconds"), int64(rs.Spec.MinReadySeconds))
	checkSelector(&f, rs.Spec.Selector, &rs.Spec.Template, p)
	return f.List
}

func validateReplicaSetUpdate(rs, old *appsv1.ReplicaSet) field.ErrorList {
	var f check.Errors
	f.Same(field.NewPath("spec", "selector"), rs.Spec.Selector, old.Spec.Selector)
	return append(validateReplicaSet(rs), f.List...)
}

func checkReplicas(f *check.Errors, n *int32, p *field.Path) {
	if n != nil {
		f.NotNegative(p.Child("replicas"), int64(*n))
	}
}

// checkSelector checks the selector and that the template's pods match it.
func checkSelector(f *check.Errors, s *metav1.LabelSelector, t *corev1.PodTemplateSpec, p *field.Path) {
	at := p.Child("selector")
	if s == nil {
		f.Required(at, "")
	} else {
		f.Add(metavalidation.ValidateLabelSelector(s, metavalidation.LabelSelectorValidationOptions{}, at)...)
		if len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
			f.Invalid(at, s, "empty selector is invalid for deployment")
		}
	}
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		f.Invalid(at, s, "invalid label selector")
		return
	}
	checkTemplate(f, t, selector, p.Child("template"))
}

func checkTemplate(f *check.Errors, t *corev1.PodTemplateSpec, selector labels.Selector, p *field.Path) {
	if !selector.Empty() && !selector.Matches(labels.Set(t.Labels)) {
		f.Invalid(p.Child("metadata", "labels"), t.Labels, "`selector` does not match template `labels`")
	}
	f.Add(core.ValidatePodTemplate(t, p)...)
	check.OneOf(f, p.Child("spec", "restartPolicy"), t.Spec.RestartPolicy, corev1.RestartPolicyAlways)
	if t.Spec.ActiveDeadlineSeconds != nil {
		f.Forbidden(p.Child("spec", "activeDeadlineSeconds"), "activeDeadlineSeconds in ReplicaSet is not Supported")
	}
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
		f.Add(field.NotSupported(p, s, []appsv1.DeploymentStrategyType{appsv1.RecreateDeploymentStrategyType, appsv1.RollingUpdateDeploymentStrategyType}))
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
	n, percent := amount(f, unavailable, at)
	m, _ := amount(f, surge, p.Child("maxSurge"))
	if n == 0 && m == 0 {
		f.Invalid(at, unavailable, "may not be 0 when `maxSurge` is 0")
	}
	if percent && n > 100 {
		f.Invalid(at, unavailable, "must not be greater than 100%")
	}
}

// amount checks a number or a percentage and returns its number; 0 for one that is neither.
func amount(f *check.Errors, v intstr.IntOrString, p *field.Path) (n int, percent bool) {
	switch v.Type {
	case intstr.Int:
		f.NotNegative(p, int64(v.IntVal))
		return int(v.IntVal), false
	case intstr.String:
		wrong := validation.IsValidPercent(v.StrVal)
		f.Each(p, v, wrong)
		if len(wrong) > 0 {
			n, _ = strconv.Atoi(v.StrVal)
			return n, false
		}
		n, _ = strconv.Atoi(strings.TrimSuffix(v.StrVal, "%"))
		return n, true
	}
	f.Invalid(p, v, "must be an integer or percentage (e.g '5%%')")
	return 0, false
}

func validateDeploymentStatus(d, old *appsv1.Deployment) field.ErrorList {
	var f check.Errors
	s, p := &d.Status, field.NewPath("status")
	checkCounts(&f, p, counts{
		{"observedGeneration", s.ObservedGeneration}, {"replicas", int64(s.Replicas)}, {"updatedReplicas", int64(s.UpdatedReplicas)},
		{"readyReplicas", int64(s.ReadyReplicas)}, {"availableReplicas", int64(s.AvailableReplicas)}, {"unavailableReplicas", int64(s.UnavailableReplicas)},
		{"terminatingReplicas", value(s.TerminatingReplicas)}, {"collisionCount", value(s.CollisionCount)},
	})
	checkParts(&f, p, s.Replicas, s.ReadyReplicas, s.AvailableReplicas, "updatedReplicas", s.UpdatedReplicas)
	if c, o := s.CollisionCount, old.Status.CollisionCount; o != nil && (c == nil || *c < *o) {
		f.Invalid(p.Child("collisionCount"), value(c), "cannot be decremented")
	}
	return f.List
}

func validateReplicaSetStatus(rs, _ *appsv1.ReplicaSet) field.ErrorList {
	var f check.Errors
	s, p := &rs.Status, field.NewPath("status")
	checkCounts(&f, p, counts{
		{"replicas", int64(s.Replicas)}, {"fullyLabeledReplicas", int64(s.FullyLabeledReplicas)}, {"readyReplicas", int64(s.ReadyReplicas)},
		{"availableReplicas", int64(s.AvailableReplicas)}, {"observedGeneration", s.ObservedGeneration}, {"terminatingReplicas", value(s.TerminatingReplicas)},
	})
	checkParts(&f, p, s.Replicas, s.ReadyReplicas, s.AvailableReplicas, "fullyLabeledReplicas", s.FullyLabeledReplicas)
	return f.List
}

type counts []struct {
	name string
	n    int64
}

func value(n *int32) int64 {
	if n == nil {
		return 0
	}
	return int64(*n)
}

func checkCounts(f *check.Errors, p *field.Path, list counts) {
	for _, c := range list {
		f.NotNegative(p.Child(c.name), c.n)
	}
}

// checkParts checks that a part of the replicas is not more than all of them.
func checkParts(f *check.Errors, p *field.Path, all, ready, available int32, name string, n int32) {
	const most = "cannot be greater than status.replicas"
	for _, part := range []struct {
		name string
		n    int32
	}{{name, n}, {"readyReplicas", ready}, {"availableReplicas", available}} {
		if part.n > all {
			f.Invalid(p.Child(part.name), part.n, most)
		}
	}
	if available > ready {
		f.Invalid(p.Child("availableReplicas"), available, "cannot be greater than readyReplicas")
	}
}

func deploymentWarnings(d, old *appsv1.Deployment) []string {
	return templateWarnings(d, &d.Spec.Template, old == nil, old != nil && d.Generation == old.Generation)
}

func replicaSetWarnings(rs, old *appsv1.ReplicaSet) []string {
	return templateWarnings(rs, &rs.Spec.Template, old == nil, old != nil && rs.Generation == old.Generation)
}

// templateWarnings returns none for an update that does not change the spec.
func templateWarnings(obj metav1.Object, t *corev1.PodTemplateSpec, create, same bool) (w []string) {
	if same {
		return nil
	}
	if wrong := validation.IsDNS1123Label(obj.GetName()); create && len(wrong) > 0 {
		w = append(w, fmt.Sprintf("metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: %v", wrong))
	}
	return append(w, core.PodWarnings(&t.ObjectMeta, &t.Spec, field.NewPath("spec", "template"))...)
}

var templateSpec = field.NewPath("spec", "template", "spec")

func boundDeployment(d *appsv1.Deployment) field.ErrorList {
	return core.BoundPodSpec(&d.Spec.Template.Spec, templateSpec)
}

func boundReplicaSet(rs *appsv1.ReplicaSet) field.ErrorList {
	return core.BoundPodSpec(&rs.Spec.Template.Spec, templateSpec)
}
