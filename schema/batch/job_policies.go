package batch

import (
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

const (
	maxFailureRules = 20
	maxExitCodes    = 255
	maxConditions   = 20
	maxSuccessRules = 20
	maxIndexes      = 64 * 1024 // bytes of a success policy's list
)

var (
	failureActions    = []batchv1.PodFailurePolicyAction{batchv1.PodFailurePolicyActionCount, batchv1.PodFailurePolicyActionFailIndex, batchv1.PodFailurePolicyActionFailJob, batchv1.PodFailurePolicyActionIgnore}
	exitCodeOperators = []batchv1.PodFailurePolicyOnExitCodesOperator{batchv1.PodFailurePolicyOnExitCodesOpIn, batchv1.PodFailurePolicyOnExitCodesOpNotIn}
	conditionStatuses = []corev1.ConditionStatus{corev1.ConditionFalse, corev1.ConditionTrue, corev1.ConditionUnknown}
)

func checkFailurePolicy(f *check.Errors, spec *batchv1.JobSpec, p *field.Path) {
	rules, at := spec.PodFailurePolicy.Rules, p.Child("rules")
	if len(rules) > maxFailureRules {
		f.Add(field.TooMany(at, len(rules), maxFailureRules))
	}
	containers := make(map[string]bool)
	for _, list := range [][]corev1.Container{spec.Template.Spec.Containers, spec.Template.Spec.InitContainers} {
		for i := range list {
			containers[list[i].Name] = true
		}
	}
	for i := range rules {
		if f.Full() {
			return
		}
		checkFailureRule(f, spec, &rules[i], containers, at.Index(i))
	}
}

func checkFailureRule(f *check.Errors, spec *batchv1.JobSpec, r *batchv1.PodFailurePolicyRule, containers map[string]bool, p *field.Path) {
	action := p.Child("action")
	if r.Action == batchv1.PodFailurePolicyActionFailIndex && spec.BackoffLimitPerIndex == nil {
		f.Invalid(action, r.Action, "requires the backoffLimitPerIndex to be set")
	}
	setOneOf(f, action, r.Action, failureActions)
	if r.OnExitCodes != nil {
		checkExitCodes(f, r.OnExitCodes, containers, p.Child("onExitCodes"))
	}
	if len(r.OnPodConditions) > 0 {
		checkConditions(f, r.OnPodConditions, p.Child("onPodConditions"))
	}
	switch codes, conditions := r.OnExitCodes != nil, len(r.OnPodConditions) > 0; {
	case codes && conditions:
		f.Invalid(p, field.OmitValueType{}, "specifying both OnExitCodes and OnPodConditions is not supported")
	case !codes && !conditions:
		f.Invalid(p, field.OmitValueType{}, "specifying one of OnExitCodes and OnPodConditions is required")
	}
}

// setOneOf requires one of allowed; the error of none names them.
func setOneOf[T ~string](f *check.Errors, p *field.Path, value T, allowed []T) {
	if value == "" {
		f.Required(p, fmt.Sprintf("valid values: %q", allowed))
		return
	}
	check.OneOf(f, p, value, allowed...)
}

func checkConditions(f *check.Errors, list []batchv1.PodFailurePolicyOnPodConditionsPattern, p *field.Path) {
	if len(list) > maxConditions {
		f.Add(field.TooMany(p, len(list), maxConditions))
	}
	for i, c := range list {
		if f.Full() {
			return
		}
		f.Qualified(p.Index(i).Child("type"), string(c.Type))
		setOneOf(f, p.Index(i).Child("status"), c.Status, conditionStatuses)
	}
}

func checkExitCodes(f *check.Errors, r *batchv1.PodFailurePolicyOnExitCodesRequirement, containers map[string]bool, p *field.Path) {
	setOneOf(f, p.Child("operator"), r.Operator, exitCodeOperators)
	if n := r.ContainerName; n != nil && !containers[*n] {
		f.Invalid(p.Child("containerName"), *n, "must be one of the container or initContainer names in the pod template")
	}
	at := p.Child("values")
	switch {
	case len(r.Values) == 0:
		f.Invalid(at, r.Values, "at least one value is required")
	case len(r.Values) > maxExitCodes:
		f.Add(field.TooMany(at, len(r.Values), maxExitCodes))
	}
	seen := make(map[int32]bool, min(len(r.Values), maxExitCodes))
	for i, code := range r.Values {
		if code == 0 && r.Operator == batchv1.PodFailurePolicyOnExitCodesOpIn {
			f.Invalid(at.Index(i), code, "must not be 0 for the In operator")
		}
		if seen[code] {
			f.Duplicate(at.Index(i), code)
		}
		seen[code] = true
	}
	if !slices.IsSorted(r.Values) {
		f.Invalid(at, r.Values, "must be ordered")
	}
}

// checkSuccessPolicy checks the success policy of an indexed job.
func checkSuccessPolicy(f *check.Errors, spec *batchv1.JobSpec, p *field.Path) {
	rules, at := spec.SuccessPolicy.Rules, p.Child("rules")
	if len(rules) == 0 {
		f.Required(at, "at least one rules must be specified when the successPolicy is specified")
	}
	if len(rules) > maxSuccessRules {
		f.Add(field.TooMany(at, len(rules), maxSuccessRules))
	}
	if spec.Completions == nil {
		return // an error of its own
	}
	for i := range rules {
		if f.Full() {
			return
		}
		checkSuccessRule(f, &rules[i], *spec.Completions, at.Index(i))
	}
}

func checkSuccessRule(f *check.Errors, r *batchv1.SuccessPolicyRule, completions int32, p *field.Path) {
	indexes, count := r.SucceededIndexes, r.SucceededCount
	if indexes == nil && count == nil {
		f.Required(p, "at least one of succeededCount or succeededIndexes must be specified")
	}
	var total int32
	if indexes != nil {
		at := p.Child("succeededIndexes")
		if len(*indexes) > maxIndexes {
			f.Add(field.TooLong(at, "", maxIndexes))
		}
		var err error
		if total, err = countIndexes(*indexes, completions); err != nil {
			f.Invalid(at, *indexes, fmt.Sprintf("error parsing succeededIndexes: %s", err))
		}
	}
	if count == nil {
		return
	}
	at := p.Child("succeededCount")
	f.NotNegative(at, int64(*count))
	if *count > completions {
		f.Invalid(at, *count, fmt.Sprintf("must be less than or equal to %d (the number of specified completions)", completions))
	}
	if indexes != nil && *count > total {
		f.Invalid(at, *count, fmt.Sprintf("must be less than or equal to %d (the number of indexes in the specified succeededIndexes field)", total))
	}
}
