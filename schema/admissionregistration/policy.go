package admissionregistration

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// ValidatingAdmissionPolicy is the kind of policies that may refuse objects.
var ValidatingAdmissionPolicy = &schema.Kind{
	Version: schema.Version{
		Group: admissionv1.GroupName, Version: "v1", Kind: "ValidatingAdmissionPolicy",
		New:     func() schema.Object { return &admissionv1.ValidatingAdmissionPolicy{} },
		NewList: func() runtime.Object { return &admissionv1.ValidatingAdmissionPolicyList{} },
		Columns: policyColumns("Validations", "Validations indicates the number of validation rules defined in this configuration"),
		Row: func(obj schema.Object, now metav1.Time) []any {
			p := obj.(*admissionv1.ValidatingAdmissionPolicy)
			return policyRow(&p.ObjectMeta, len(p.Spec.Validations), p.Spec.ParamKind, now)
		},
		Default: schema.Preparation(func(p *admissionv1.ValidatingAdmissionPolicy) {
			setIfNil(&p.Spec.FailurePolicy, admissionv1.Fail)
			defaultMatch(p.Spec.MatchConstraints)
		}),
	},
	Plural: "validatingadmissionpolicies", Singular: "validatingadmissionpolicy", Categories: categories,
	UpdateMeta:    schema.MetaOfCreate,
	Prefix:        "validatingadmissionpolicies",
	Subresources:  []schema.Subresource{schema.Status(prepareStatus, validateStatus).Resetting("metadata")},
	ValidateName:  apivalidation.NameIsDNSSubdomain,
	AnyFinalizers: true,

	PrepareCreate: schema.Preparation(func(p *admissionv1.ValidatingAdmissionPolicy) {
		p.Status, p.Generation = admissionv1.ValidatingAdmissionPolicyStatus{}, 1
	}),
	PrepareUpdate: schema.UpdatePreparation(func(p, old *admissionv1.ValidatingAdmissionPolicy) {
		p.Status = old.Status
		raiseGeneration(&p.ObjectMeta, &old.ObjectMeta, &p.Spec, &old.Spec)
	}),
	Validate:       schema.Validation(validateValidatingPolicy),
	ValidateUpdate: schema.UpdateValidation(validateValidatingPolicyUpdate),
	Warnings:       nameWarnings,
}

// MutatingAdmissionPolicy is the kind of policies that may change objects.
var MutatingAdmissionPolicy = &schema.Kind{
	Version: schema.Version{
		Group: admissionv1.GroupName, Version: "v1", Kind: "MutatingAdmissionPolicy",
		New:     func() schema.Object { return &admissionv1.MutatingAdmissionPolicy{} },
		NewList: func() runtime.Object { return &admissionv1.MutatingAdmissionPolicyList{} },
		Columns: policyColumns("Mutations", "Mutation indicates the number of mutations rules defined in this configuration"),
		Row: func(obj schema.Object, now metav1.Time) []any {
			p := obj.(*admissionv1.MutatingAdmissionPolicy)
			return policyRow(&p.ObjectMeta, len(p.Spec.Mutations), p.Spec.ParamKind, now)
		},
		Default: schema.Preparation(func(p *admissionv1.MutatingAdmissionPolicy) {
			setIfNil(&p.Spec.FailurePolicy, admissionv1.Fail)
			defaultMatch(p.Spec.MatchConstraints)
		}),
	},
	Plural: "mutatingadmissionpolicies", Singular: "mutatingadmissionpolicy", Categories: categories,
	UpdateMeta:    schema.MetaOfCreate,
	Prefix:        "mutatingadmissionpolicies",
	ValidateName:  apivalidation.NameIsDNSSubdomain,
	AnyFinalizers: true,

	PrepareCreate: firstGeneration,
	PrepareUpdate: schema.UpdatePreparation(func(p, old *admissionv1.MutatingAdmissionPolicy) {
		raiseGeneration(&p.ObjectMeta, &old.ObjectMeta, &p.Spec, &old.Spec)
	}),
	Validate:       schema.Validation(validateMutatingPolicy),
	ValidateUpdate: schema.UpdateValidation(validateMutatingPolicyUpdate),
	Warnings:       nameWarnings,
}

func defaultMatch(m *admissionv1.MatchResources) {
	if m == nil {
		return
	}
	setIfNil(&m.MatchPolicy, admissionv1.Equivalent)
	setIfNil(&m.NamespaceSelector, metav1.LabelSelector{})
	setIfNil(&m.ObjectSelector, metav1.LabelSelector{})
	for _, rules := range [][]admissionv1.NamedRuleWithOperations{m.ResourceRules, m.ExcludeResourceRules} {
		for i := range rules {
			setIfNil(&rules[i].Scope, admissionv1.AllScopes)
		}
	}
}

func raiseGeneration[T any](meta, old *metav1.ObjectMeta, spec, oldSpec *T) {
	if !equality.Semantic.DeepEqual(spec, oldSpec) {
		meta.Generation = old.Generation + 1
	}
}

func prepareStatus(p, old *admissionv1.ValidatingAdmissionPolicy) {
	p.Spec = old.Spec
	metav1.ResetObjectMetaForStatus(&p.ObjectMeta, &old.ObjectMeta)
}

const unset = "<unset>"

func policyColumns(count, description string) []metav1.TableColumnDefinition {
	return []metav1.TableColumnDefinition{
		schema.NameColumn(),
		schema.NumberColumn(count, description),
		schema.TextColumn("ParamKind", "ParamKind specifies the kind of resources used to parameterize this policy"),
		schema.AgeColumn(),
	}
}

func policyRow(meta *metav1.ObjectMeta, count int, kind *admissionv1.ParamKind, now metav1.Time) []any {
	text := unset
	if kind != nil {
		text = kind.APIVersion + "/" + kind.Kind
	}
	return []any{meta.Name, int64(count), text, schema.Age(meta.CreationTimestamp, now)}
}
