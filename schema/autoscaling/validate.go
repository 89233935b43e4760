package autoscaling

import (
	"errors"
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/validate/content"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

const (
	maxPeriod        = 1800 // seconds
	maxStabilization = 3600 // seconds
)

// rules are what an update allows that was there before.
type rules struct {
	zero           bool // minReplicas may be 0
	target, object referenceRules
}

type referenceRules struct{ anyVersion, coreGroup bool }

func validateAutoscaler(a *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	return checkAutoscaler(&a.Spec, rules{target: targetRules(a), object: referenceRules{coreGroup: true}})
}

// targetRules: the kind of the core group that can be scaled needs no group.
func targetRules(a *autoscalingv2.HorizontalPodAutoscaler) referenceRules {
	return referenceRules{coreGroup: a.Spec.ScaleTargetRef.Kind == "ReplicationController"}
}

func validateAutoscalerUpdate(a, old *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	r := rules{
		zero:   old.Spec.MinReplicas != nil && *old.Spec.MinReplicas == 0,
		target: targetRules(a), object: referenceRules{coreGroup: true},
	}
	if is, was := &a.Spec.ScaleTargetRef, &old.Spec.ScaleTargetRef; is.APIVersion == was.APIVersion && is.Kind == was.Kind {
		r.target = referenceRules{anyVersion: true}
	}
	for i := range old.Spec.Metrics {
		if m := &old.Spec.Metrics[i]; m.Type == autoscalingv2.ObjectMetricSourceType && m.Object != nil {
			r.object.anyVersion = r.object.anyVersion || versionError(m.Object.DescribedObject.APIVersion, r.object) != nil
		}
	}
	return checkAutoscaler(&a.Spec, r)
}

func checkAutoscaler(spec *autoscalingv2.HorizontalPodAutoscalerSpec, r rules) field.ErrorList {
	var f check.Errors
	p, least := field.NewPath("spec"), int32(1)
	if r.zero {
		least = 0
	}
	if n := spec.MinReplicas; n != nil && *n < least {
		f.Invalid(p.Child("minReplicas"), *n, fmt.Sprintf("must be greater than or equal to %d", least))
	}
	most := p.Child("maxReplicas")
	switch {
	case spec.MaxReplicas == 0:
		f.Required(most, "must be set and greater than 0")
	case spec.MaxReplicas < 0:
		f.Invalid(most, spec.MaxReplicas, "must be greater than or equal to 1")
	}
	if n := spec.MinReplicas; n != nil && spec.MaxReplicas < *n {
		f.Invalid(most, spec.MaxReplicas, "must be greater than or equal to `minReplicas`")
	}
	checkReference(&f, &spec.ScaleTargetRef, r.target, p.Child("scaleTargetRef"))
	checkMetrics(&f, spec, r.object, p.Child("metrics"))
	if b := spec.Behavior; b != nil {
		checkScaling(&f, b.ScaleUp, p.Child("behavior", "scaleUp"))
		checkScaling(&f, b.ScaleDown, p.Child("behavior", "scaleDown"))
	}
	return f.List
}

func checkReference(f *check.Errors, ref *autoscalingv2.CrossVersionObjectReference, r referenceRules, p *field.Path) {
	checkSegment(f, ref.Kind, "", p.Child("kind"))
	checkSegment(f, ref.Name, "", p.Child("name"))
	if err := versionError(ref.APIVersion, r); err != nil {
		f.Invalid(p.Child("apiVersion"), ref.APIVersion, err.Error())
	}
}

// checkSegment requires a text that may be a segment of a path.
func checkSegment(f *check.Errors, text, lacks string, p *field.Path) {
	if text == "" {
		f.Required(p, lacks)
		return
	}
	f.Each(p, text, content.IsPathSegmentName(text))
}

func versionError(apiVersion string, r referenceRules) error {
	if r.anyVersion {
		return nil
	}
	gv, err := kschema.ParseGroupVersion(apiVersion)
	if err == nil && gv.Group == "" && !r.coreGroup {
		err = errors.New("apiVersion must specify API group")
	}
	return err
}

func checkScaling(f *check.Errors, r *autoscalingv2.HPAScalingRules, p *field.Path) {
	if r == nil {
		return
	}
	if n, at := r.StabilizationWindowSeconds, p.Child("stabilizationWindowSeconds"); n != nil {
		if *n < 0 {
			f.Invalid(at, n, "must be greater than or equal to zero")
		}
		atMost(f, *n, maxStabilization, at)
	}
	if s := r.SelectPolicy; s != nil {
		check.OneOf(f, p.Child("selectPolicy"), *s, autoscalingv2.DisabledPolicySelect, autoscalingv2.MaxChangePolicySelect, autoscalingv2.MinChangePolicySelect)
	}
	policies := p.Child("policies")
	if len(r.Policies) == 0 {
		f.Required(policies, "must specify at least one Policy")
	}
	for i := range r.Policies {
		if f.Full() {
			return
		}
		policy, at := &r.Policies[i], policies.Index(i)
		check.OneOf(f, at.Child("type"), policy.Type, autoscalingv2.PercentScalingPolicy, autoscalingv2.PodsScalingPolicy)
		f.Positive(at.Child("value"), int64(policy.Value))
		f.Positive(at.Child("periodSeconds"), int64(policy.PeriodSeconds))
		atMost(f, policy.PeriodSeconds, maxPeriod, at.Child("periodSeconds"))
	}
	if q := r.Tolerance; q != nil && q.Sign() < 0 {
		f.Invalid(p.Child("tolerance"), q.String(), "must be greater than or equal to 0")
	}
}

func atMost(f *check.Errors, n, most int32, p *field.Path) {
	if n > most {
		f.Invalid(p, n, fmt.Sprintf("must be less than or equal to %d", most))
	}
}

func validateAutoscalerStatus(a, _ *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	var f check.Errors
	p := field.NewPath("status")
	f.NotNegative(p.Child("currentReplicas"), int64(a.Status.CurrentReplicas))
	f.NotNegative(p.Child("desiredReplicas"), int64(a.Status.DesiredReplicas))
	return f.List
}
