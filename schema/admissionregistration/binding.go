package admissionregistration

import (
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
	"gantry/schema/internal/check"
)

type (
	validatingBinding = admissionv1.ValidatingAdmissionPolicyBinding
	mutatingBinding   = admissionv1.MutatingAdmissionPolicyBinding
)

// ValidatingAdmissionPolicyBinding is the kind of what puts validating policies into force.
var ValidatingAdmissionPolicyBinding = bindingKind("ValidatingAdmissionPolicyBinding",
	func() runtime.Object { return &admissionv1.ValidatingAdmissionPolicyBindingList{} },
	func(b *validatingBinding) bindingSpec {
		return bindingSpec{&b.Spec, b.Spec.PolicyName, b.Spec.ParamRef, b.Spec.MatchResources, b.Spec.ValidationActions}
	},
	func(f *check.Errors, s bindingSpec) { checkActions(f, s.actions, specPath.Child("validationActions")) })

// MutatingAdmissionPolicyBinding is the kind of what puts mutating policies into force.
var MutatingAdmissionPolicyBinding = bindingKind("MutatingAdmissionPolicyBinding",
	func() runtime.Object { return &admissionv1.MutatingAdmissionPolicyBindingList{} },
	func(b *mutatingBinding) bindingSpec {
		return bindingSpec{all: &b.Spec, policy: b.Spec.PolicyName, param: b.Spec.ParamRef, match: b.Spec.MatchResources}
	},
	func(f *check.Errors, s bindingSpec) { checkMutable(f, s.match, specPath.Child("matchResources")) })

// bindingSpec is the spec of a binding of either kind: a mutating one has no actions.
type bindingSpec struct {
	all     any // the spec itself
	policy  string
	param   *admissionv1.ParamRef
	match   *admissionv1.MatchResources
	actions []admissionv1.ValidationAction
}

func bindingKind[T any, P object[T]](name string, newList func() runtime.Object, spec func(P) bindingSpec, checkMore func(*check.Errors, bindingSpec)) *schema.Kind {
	return definition[T, P]{
		name: name, plural: strings.ToLower(name) + "s", newList: newList,
		columns: []metav1.TableColumnDefinition{
			schema.TextColumn("PolicyName", "PolicyName indicates the policy definition which the policy binding binded to"),
			schema.TextColumn("ParamRef", "ParamRef indicates the param resource which sets the configuration param"),
		},
		row: func(b P) []any {
			s := spec(b)
			return []any{s.policy, paramText(s.param)}
		},
		setDefaults: func(b P) { defaultMatch(spec(b).match) },
		prepare:     asWritten[P],
		differ:      func(b, old P) bool { return !equality.Semantic.DeepEqual(spec(b).all, spec(old).all) },
		validate: func(b, _ P) field.ErrorList {
			var f check.Errors
			s := spec(b)
			checkBinding(&f, s)
			checkMore(&f, s)
			return f.List
		},
	}.kind()
}

// paramText shows a parameter without a namespace as "*/name": its kind may have namespaces.
func paramText(param *admissionv1.ParamRef) string {
	switch {
	case param == nil:
	case param.Name != "" && param.Namespace != "":
		return param.Namespace + "/" + param.Name
	case param.Name != "":
		return "*/" + param.Name
	case param.Selector != nil:
		return param.Selector.String()
	}
	return unset
}

func checkBinding(f *check.Errors, s bindingSpec) {
	if p := specPath.Child("policyName"); f.Set(p, s.policy) {
		f.Subdomain(p, s.policy)
	}
	checkParamRef(f, s.param, specPath.Child("paramRef"))
	checkMatch(f, s.match, specPath.Child("matchResources"))
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
