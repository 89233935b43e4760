package admissionregistration

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
	"gantry/schema/internal/check"
)

// ValidatingAdmissionPolicyBinding is the kind of what puts validating policies into force.
var ValidatingAdmissionPolicyBinding = &schema.Kind{
	Version: schema.Version{
		Group: admissionv1.GroupName, Version: "v1", Kind: "ValidatingAdmissionPolicyBinding",
		New:     func() schema.Object { return &admissionv1.ValidatingAdmissionPolicyBinding{} },
		NewList: func() runtime.Object { return &admissionv1.ValidatingAdmissionPolicyBindingList{} },
		Columns: bindingColumns,
		Row: func(obj schema.Object, now metav1.Time) []any {
			b := obj.(*admissionv1.ValidatingAdmissionPolicyBinding)
			return bindingRow(&b.ObjectMeta, b.Spec.PolicyName, b.Spec.ParamRef, now)
		},
		Default: schema.Preparation(func(b *admissionv1.ValidatingAdmissionPolicyBinding) { defaultMatch(b.Spec.MatchResources) }),
	},
	Plural: "validatingadmissionpolicybindings", Singular: "validatingadmissionpolicybinding", Categories: categories,
	UpdateMeta:    schema.MetaOfCreate,
	Prefix:        "validatingadmissionpolicybindings",
	ValidateName:  apivalidation.NameIsDNSSubdomain,
	AnyFinalizers: true,

	PrepareCreate: firstGeneration,
	PrepareUpdate: schema.UpdatePreparation(func(b, old *admissionv1.ValidatingAdmissionPolicyBinding) {
		raiseGeneration(&b.ObjectMeta, &old.ObjectMeta, &b.Spec, &old.Spec)
	}),
	Validate: schema.Validation(validateValidatingBinding),
	ValidateUpdate: schema.UpdateValidation(func(b, _ *admissionv1.ValidatingAdmissionPolicyBinding) field.ErrorList {
		return validateValidatingBinding(b)
	}),
	Warnings: nameWarnings,
}

// MutatingAdmissionPolicyBinding is the kind of what puts mutating policies into force.
var MutatingAdmissionPolicyBinding = &schema.Kind{
	Version: schema.Version{
		Group: admissionv1.GroupName, Version: "v1", Kind: "MutatingAdmissionPolicyBinding",
		New:     func() schema.Object { return &admissionv1.MutatingAdmissionPolicyBinding{} },
		NewList: func() runtime.Object { return &admissionv1.MutatingAdmissionPolicyBindingList{} },
		Columns: bindingColumns,
		Row: func(obj schema.Object, now metav1.Time) []any {
			b := obj.(*admissionv1.MutatingAdmissionPolicyBinding)
			return bindingRow(&b.ObjectMeta, b.Spec.PolicyName, b.Spec.ParamRef, now)
		},
		Default: schema.Preparation(func(b *admissionv1.MutatingAdmissionPolicyBinding) { defaultMatch(b.Spec.MatchResources) }),
	},
	Plural: "mutatingadmissionpolicybindings", Singular: "mutatingadmissionpolicybinding", Categories: categories,
	UpdateMeta:    schema.MetaOfCreate,
	Prefix:        "mutatingadmissionpolicybindings",
	ValidateName:  apivalidation.NameIsDNSSubdomain,
	AnyFinalizers: true,

	PrepareCreate: firstGeneration,
	PrepareUpdate: schema.UpdatePreparation(func(b, old *admissionv1.MutatingAdmissionPolicyBinding) {
		raiseGeneration(&b.ObjectMeta, &old.ObjectMeta, &b.Spec, &old.Spec)
	}),
	Validate: schema.Validation(validateMutatingBinding),
	ValidateUpdate: schema.UpdateValidation(func(b, _ *admissionv1.MutatingAdmissionPolicyBinding) field.ErrorList {
		return validateMutatingBinding(b)
	}),
	Warnings: nameWarnings,
}

var bindingColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("PolicyName", "PolicyName indicates the policy definition which the policy binding binded to"),
	schema.TextColumn("ParamRef", "ParamRef indicates the param resource which sets the configuration param"),
	schema.AgeColumn(),
}

// bindingRow shows a parameter without a namespace as "*/name": its kind may have namespaces.
func bindingRow(meta *metav1.ObjectMeta, policy string, param *admissionv1.ParamRef, now metav1.Time) []any {
	text := unset
	switch {
	case param == nil:
	case param.Name != "" && param.Namespace != "":
		text = param.Namespace + "/" + param.Name
	case param.Name != "":
		text = "*/" + param.Name
	case param.Selector != nil:
		text = param.Selector.String()
	}
	return []any{meta.Name, policy, text, schema.Age(meta.CreationTimestamp, now)}
}

func validateValidatingBinding(b *admissionv1.ValidatingAdmissionPolicyBinding) field.ErrorList {
	var f check.Errors
	checkBinding(&f, b.Spec.PolicyName, b.Spec.ParamRef, b.Spec.MatchResources)
	checkActions(&f, b.Spec.ValidationActions, specPath.Child("validationActions"))
	return f.List
}

func validateMutatingBinding(b *admissionv1.MutatingAdmissionPolicyBinding) field.ErrorList {
	var f check.Errors
	checkBinding(&f, b.Spec.PolicyName, b.Spec.ParamRef, b.Spec.MatchResources)
	checkMutable(&f, b.Spec.MatchResources, specPath.Child("matchResources"))
	return f.List
}

func checkBinding(f *check.Errors, policy string, param *admissionv1.ParamRef, match *admissionv1.MatchResources) {
	if p := specPath.Child("policyName"); f.Set(p, policy) {
		f.Subdomain(p, policy)
	}
	checkParamRef(f, param, specPath.Child("paramRef"))
	checkMatch(f, match, specPath.Child("matchResources"))
}

// checkParamRef checks that parameters are named or selected, and what is done without them.
func checkParamRef(f *check.Errors, r *admissionv1.ParamRef, p *field.Path) {
	if r == nil {
		return
	}
	const exclusive = "name and selector are mutually exclusive"
	if r.Name != "" {
		f.Each(p.Child("name"), r.Name, content.IsPathSegmentName(r.Name))
		if r.Selector != nil {
			f.Forbidden(p.Child("name"), exclusive)
		}
	}
	if r.Selector != nil {
		f.Add(metavalidation.ValidateLabelSelector(r.Selector, metavalidation.LabelSelectorValidationOptions{}, p.Child("selector"))...)
		if r.Name != "" {
			f.Forbidden(p.Child("selector"), exclusive)
		}
	}
	if r.Name == "" && r.Selector == nil {
		f.Required(p, "one of name or selector must be specified")
	}
	action := admissionv1.ParameterNotFoundActionType("")
	if r.ParameterNotFoundAction != nil {
		action = *r.ParameterNotFoundAction
	}
	check.SetOneOf(f, p.Child("parameterNotFoundAction"), action, admissionv1.DenyAction, admissionv1.AllowAction)
}

func checkActions(f *check.Errors, list []admissionv1.ValidationAction, p *field.Path) {
	seen := map[admissionv1.ValidationAction]bool{}
	for i, a := range list {
		check.OneOf(f, p.Index(i), a, admissionv1.Audit, admissionv1.Deny, admissionv1.Warn)
		if seen[a] {
			f.Duplicate(p.Index(i), a)
		}
		seen[a] = true
	}
	if seen[admissionv1.Deny] && seen[admissionv1.Warn] {
		f.Invalid(p, list, "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)")
	}
	if len(list) == 0 {
		f.Required(p, "at least one validation action is required")
	}
}
