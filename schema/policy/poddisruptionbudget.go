// Package policy has the kind of the group policy: pod disruption budgets.
package policy

import (
	"slices"

	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
	"gantry/schema/internal/check"
)

// PodDisruptionBudget is the kind of poddisruptionbudgets.
var PodDisruptionBudget = &schema.Kind{
	Version: schema.Version{
		Group: "policy", Version: "v1", Kind: "PodDisruptionBudget",
		New:     func() schema.Object { return &policyv1.PodDisruptionBudget{} },
		NewList: func() runtime.Object { return &policyv1.PodDisruptionBudgetList{} },
		Columns: []metav1.TableColumnDefinition{
			schema.NameColumn(),
			schema.TextColumn("Min Available", "The minimum number of pods that must be available."),
			schema.TextColumn("Max Unavailable", "The maximum number of pods that may be unavailable."),
			schema.NumberColumn("Allowed Disruptions", "Calculated number of pods that may be disrupted at this time."),
			schema.AgeColumn(),
		},
		Row:     budgetRow,
		Default: schema.Preparation(defaultBudget),
	},
	Plural: "poddisruptionbudgets", Singular: "poddisruptionbudget", ShortNames: []string{"pdb"},
	UpdateMeta: schema.MetaOfNone,
	Namespaced: true,
	Prefix:     "poddisruptionbudgets",

	Subresources:  []schema.Subresource{schema.Status(prepareBudgetStatus, validateBudgetStatus)},
	AnyFinalizers: true,

	PrepareCreate:  schema.Preparation(prepareBudgetCreate),
	PrepareUpdate:  schema.UpdatePreparation(prepareBudgetUpdate),
	Validate:       schema.Validation(validateBudget),
	ValidateUpdate: schema.UpdateValidation(validateBudgetUpdate),
}

// emptySelectorLabel is what v1beta1 selectors of no pods were made with.
const emptySelectorLabel = "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match"

// defaultBudget removes that label from selectors that select by anything else.
func defaultBudget(b *policyv1.PodDisruptionBudget) {
	s := b.Spec.Selector
	if s == nil || len(s.MatchLabels) == 0 && len(s.MatchExpressions) == 1 && selectsNothing(s.MatchExpressions[0]) {
		return
	}
	s.MatchExpressions = slices.DeleteFunc(s.MatchExpressions, func(e metav1.LabelSelectorRequirement) bool { return e.Key == emptySelectorLabel })
}

func selectsNothing(e metav1.LabelSelectorRequirement) bool {
	return e.Key == emptySelectorLabel && e.Operator == metav1.LabelSelectorOpExists && len(e.Values) == 0
}

func prepareBudgetCreate(b *policyv1.PodDisruptionBudget) {
	b.Status = policyv1.PodDisruptionBudgetStatus{}
	b.Generation = 1
}

func prepareBudgetUpdate(b, old *policyv1.PodDisruptionBudget) {
	b.Status = old.Status
	b.Generation = old.Generation
	if !equality.Semantic.DeepEqual(b.Spec, old.Spec) {
		b.Generation++
	}
}

func prepareBudgetStatus(b, old *policyv1.PodDisruptionBudget) {
	b.Spec = old.Spec
	b.Generation = old.Generation
}

func validateBudget(b *policyv1.PodDisruptionBudget) field.ErrorList {
	return checkBudget(b, metavalidation.LabelSelectorValidationOptions{})
}

// validateBudgetUpdate allows values in a selector that are none of labels where the old selector had errors.
func validateBudgetUpdate(b, old *policyv1.PodDisruptionBudget) field.ErrorList {
	errs := validateBudget(b)
	if s := old.Spec.Selector; len(errs) > 0 && s != nil && len(metavalidation.ValidateLabelSelector(s, metavalidation.LabelSelectorValidationOptions{}, nil)) > 0 {
		return checkBudget(b, metavalidation.LabelSelectorValidationOptions{AllowInvalidLabelValueInSelector: true})
	}
	return errs
}

func checkBudget(b *policyv1.PodDisruptionBudget, o metavalidation.LabelSelectorValidationOptions) field.ErrorList {
	var f check.Errors
	spec, p := &b.Spec, field.NewPath("spec")
	if spec.MinAvailable != nil && spec.MaxUnavailable != nil {
		f.Invalid(p, check.Quoted(*spec), "minAvailable and maxUnavailable cannot be both set")
	}
	for _, n := range []struct {
		name string
		n    *intstr.IntOrString
	}{{"minAvailable", spec.MinAvailable}, {"maxUnavailable", spec.MaxUnavailable}} {
		if n.n != nil {
			f.IntOrPercent(p.Child(n.name), *n.n)
			f.AtMost100Percent(p.Child(n.name), *n.n)
		}
	}
	f.Add(metavalidation.ValidateLabelSelector(spec.Selector, o, p.Child("selector"))...)
	if u := spec.UnhealthyPodEvictionPolicy; u != nil {
		check.OneOf(&f, p.Child("unhealthyPodEvictionPolicy"), *u, policyv1.AlwaysAllow, policyv1.IfHealthyBudget)
	}
	return f.List
}

func validateBudgetStatus(b, _ *policyv1.PodDisruptionBudget) field.ErrorList {
	var f check.Errors
	s, p := &b.Status, field.NewPath("status")
	f.Add(metavalidation.ValidateConditions(s.Conditions, p.Child("conditions"))...)
	f.NotNegative(p.Child("disruptionsAllowed"), int64(s.DisruptionsAllowed))
	f.NotNegative(p.Child("currentHealthy"), int64(s.CurrentHealthy))
	f.NotNegative(p.Child("desiredHealthy"), int64(s.DesiredHealthy))
	f.NotNegative(p.Child("expectedPods"), int64(s.ExpectedPods))
	return f.List
}

func budgetRow(obj schema.Object, now metav1.Time) []any {
	b := obj.(*policyv1.PodDisruptionBudget)
	amount := func(n *intstr.IntOrString) string {
		if n == nil {
			return "N/A"
		}
		return n.String()
	}
	return []any{b.Name, amount(b.Spec.MinAvailable), amount(b.Spec.MaxUnavailable), int64(b.Status.DisruptionsAllowed), schema.Age(b.CreationTimestamp, now)}
}
