package admissionregistration

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

var specPath = field.NewPath("spec")

func validateValidatingPolicy(p *admissionv1.ValidatingAdmissionPolicy) field.ErrorList {
	return checkValidatingPolicy(p, true)
}

// validateValidatingPolicyUpdate does not check conditions that are what they were, of the same parameters.
func validateValidatingPolicyUpdate(p, old *admissionv1.ValidatingAdmissionPolicy) field.ErrorList {
	return checkValidatingPolicy(p, conditionsChange(p.Spec.ParamKind, old.Spec.ParamKind, p.Spec.MatchConditions, old.Spec.MatchConditions))
}

// conditionsChange tells whether an update changes a policy's match conditions or the parameters that they are about.
func conditionsChange(kind, oldKind *admissionv1.ParamKind, conditions, oldConditions []admissionv1.MatchCondition) bool {
	return !equality.Semantic.DeepEqual(kind, oldKind) || !equality.Semantic.DeepEqual(conditions, oldConditions)
}

func checkValidatingPolicy(p *admissionv1.ValidatingAdmissionPolicy, conditions bool) field.ErrorList {
	var f check.Errors
	spec := &p.Spec
	checkPolicy(&f, spec.FailurePolicy, spec.ParamKind, spec.MatchConstraints, nil)
	if conditions {
		checkConditions(&f, spec.MatchConditions, specPath.Child("matchConditions"))
	}
	checkVariables(&f, spec.Variables)
	validations, annotations := specPath.Child("validations"), specPath.Child("auditAnnotations")
	if len(spec.Validations)+len(spec.AuditAnnotations) == 0 {
		const one = "validations or auditAnnotations must contain at least one item"
		f.Required(validations, one)
		f.Required(annotations, one)
	}
	for i := range spec.Validations {
		checkValidation(&f, &spec.Validations[i], validations.Index(i))
	}
	checkAuditAnnotations(&f, p.Name, spec.AuditAnnotations, annotations)
	return f.List
}

func validateMutatingPolicy(p *admissionv1.MutatingAdmissionPolicy) field.ErrorList {
	return checkMutatingPolicy(p, true)
}

func validateMutatingPolicyUpdate(p, old *admissionv1.MutatingAdmissionPolicy) field.ErrorList {
	return checkMutatingPolicy(p, conditionsChange(p.Spec.ParamKind, old.Spec.ParamKind, p.Spec.MatchConditions, old.Spec.MatchConditions))
}

func checkMutatingPolicy(p *admissionv1.MutatingAdmissionPolicy, conditions bool) field.ErrorList {
	var f check.Errors
	spec := &p.Spec
	checkPolicy(&f, spec.FailurePolicy, spec.ParamKind, spec.MatchConstraints, checkMutable)
	if conditions {
		checkConditions(&f, spec.MatchConditions, specPath.Child("matchConditions"))
	}
	checkVariables(&f, spec.Variables)
	mutations := specPath.Child("mutations")
	if len(spec.Mutations) == 0 {
		f.Required(mutations, "mutations must contain at least one item")
	}
	for i := range spec.Mutations {
		checkMutation(&f, &spec.Mutations[i], mutations.Index(i))
	}
	check.SetOneOf(&f, specPath.Child("reinvocationPolicy"), spec.ReinvocationPolicy, admissionv1.IfNeededReinvocationPolicy, admissionv1.NeverReinvocationPolicy)
	return f.List
}

// checkPolicy checks what both kinds of policies have before their conditions. more, where set, checks the constraints too.
func checkPolicy(f *check.Errors, failure *admissionv1.FailurePolicyType, params *admissionv1.ParamKind, match *admissionv1.MatchResources,
	more func(*check.Errors, *admissionv1.MatchResources, *field.Path)) {
	if failure == nil {
		f.Required(specPath.Child("failurePolicy"), "")
	}
	checkPolicies(f, failure, nil, specPath)
	if params != nil {
		checkParamKind(f, params, specPath.Child("paramKind"))
	}
	constraints := specPath.Child("matchConstraints")
	if match == nil {
		f.Required(constraints, "")
		return
	}
	checkMatch(f, match, constraints)
	if len(match.ResourceRules) == 0 {
		f.Required(constraints.Child("resourceRules"), "")
	}
	if more != nil {
		more(f, match, constraints)
	}
}

// checkParamKind checks the version, "v1" or "example.com/v1", and the kind.
func checkParamKind(f *check.Errors, k *admissionv1.ParamKind, p *field.Path) {
	at := p.Child("apiVersion")
	if f.Set(at, k.APIVersion) {
		group, version, both := strings.Cut(k.APIVersion, "/")
		if !both {
			group, version = "", group
		}
		if strings.Contains(version, "/") {
			f.Invalid(at, k.APIVersion, fmt.Sprintf("unexpected GroupVersion string: %v", k.APIVersion))
		} else {
			if wrong := validation.IsDNS1123Subdomain(group); group != "" && len(wrong) > 0 {
				f.Invalid(at, group, strings.Join(wrong, ","))
			}
			if version == "" {
				f.Invalid(at, k.APIVersion, "version must be specified")
			} else if wrong := validation.IsDNS1035Label(version); len(wrong) > 0 {
				f.Invalid(at, version, strings.Join(wrong, ","))
			}
		}
	}
	if kind := p.Child("kind"); f.Set(kind, k.Kind) {
		if wrong := validation.IsDNS1035Label(strings.ToLower(k.Kind)); len(wrong) > 0 {
			f.Invalid(kind, k.Kind, "may have mixed case, but should otherwise match: "+strings.Join(wrong, ","))
		}
	}
}

var identifier = regexp.MustCompile("^[_a-zA-Z][_a-zA-Z0-9]*$")

// reserved are words that no variable of CEL can have as its name.
var reserved = []string{"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let",
	"loop", "package", "namespace", "return", "var", "void", "while"}

func checkVariables(f *check.Errors, list []admissionv1.Variable) {
	for i, v := range list {
		p := specPath.Child("variables").Index(i)
		if isBlank(v.Name) {
			f.Required(p.Child("name"), "name is not specified")
		} else if !identifier.MatchString(v.Name) || slices.Contains(reserved, v.Name) {
			f.Invalid(p.Child("name"), v.Name, "must be a valid CEL identifier")
		}
		if isBlank(v.Expression) {
			f.Required(p.Child("expression"), "expression is not specified")
		}
	}
}

func checkValidation(f *check.Errors, v *admissionv1.Validation, p *field.Path) {
	if isBlank(v.Expression) {
		f.Required(p.Child("expression"), "expression is not specified")
	}
	const empty = "must be non-empty if specified"
	if v.MessageExpression != "" && isBlank(v.MessageExpression) {
		f.Invalid(p.Child("messageExpression"), v.MessageExpression, empty)
	}
	if v.Message != "" && isBlank(v.Message) {
		f.Invalid(p.Child("message"), v.Message, empty)
	} else if strings.ContainsAny(strings.TrimSpace(v.Message), "\n\r") {
		f.Invalid(p.Child("message"), v.Message, "must not contain line breaks")
	}
	if v.Reason != nil {
		check.OneOf(f, p.Child("reason"), *v.Reason, metav1.StatusReasonForbidden, metav1.StatusReasonInvalid, metav1.StatusReasonRequestEntityTooLarge)
	}
}

const (
	maxAuditAnnotations = 20
	maxValueExpression  = 5 * 1024 // bytes
)

func checkAuditAnnotations(f *check.Errors, policy string, list []admissionv1.AuditAnnotation, p *field.Path) {
	if len(list) > maxAuditAnnotations {
		f.Invalid(p, list, fmt.Sprintf("must not have more than %d auditAnnotations", maxAuditAnnotations))
	}
	seen := map[string]bool{}
	for i, a := range list {
		at := p.Index(i)
		if policy == "" {
			f.Invalid(at.Child("key"), a.Key, "requires metadata.name be non-empty")
		} else {
			f.Qualified(at.Child("key"), policy+"/"+a.Key)
		}
		if n := len(strings.TrimSpace(a.ValueExpression)); n == 0 {
			f.Required(at.Child("valueExpression"), "valueExpression is not specified")
		} else if n > maxValueExpression {
			f.Required(at.Child("valueExpression"), fmt.Sprintf("must not exceed %d bytes in length", maxValueExpression))
		}
		if seen[a.Key] {
			f.Duplicate(at.Child("key"), a.Key)
		}
		seen[a.Key] = true
	}
}

// checkMutation checks that the patch of the type is there, and no other.
func checkMutation(f *check.Errors, m *admissionv1.Mutation, p *field.Path) {
	apply, patch := p.Child("applyConfiguration"), p.Child("jsonPatch")
	switch m.PatchType {
	case "":
		f.Required(p.Child("patchType"), "")
	case admissionv1.PatchTypeJSONPatch:
		if m.JSONPatch == nil {
			f.Required(patch, "must be specified when patchType is JSONPatch")
		} else if isBlank(m.JSONPatch.Expression) {
			f.Required(patch.Child("expression"), "")
		}
		if m.ApplyConfiguration != nil {
			f.Invalid(apply, "{applyConfiguration}", "must not be specified when patchType is JSONPatch")
		}
	case admissionv1.PatchTypeApplyConfiguration:
		if m.ApplyConfiguration == nil {
			f.Required(apply, "must be specified when patchType is ApplyConfiguration")
		} else if isBlank(m.ApplyConfiguration.Expression) {
			f.Required(apply.Child("expression"), "")
		}
		if m.JSONPatch != nil {
			f.Invalid(patch, "{jsonPatch}", "must not be specified when patchType is ApplyConfiguration")
		}
	default:
		check.OneOf(f, p.Child("patchType"), m.PatchType, admissionv1.PatchTypeApplyConfiguration, admissionv1.PatchTypeJSONPatch)
	}
}

// validateStatus checks what a controller found in the expressions, and the conditions.
func validateStatus(p, _ *admissionv1.ValidatingAdmissionPolicy) field.ErrorList {
	var f check.Errors
	status := field.NewPath("status")
	if t := p.Status.TypeChecking; t != nil {
		for i, w := range t.ExpressionWarnings {
			at := status.Child("typeChecking", "expressionWarnings").Index(i)
			f.Set(at.Child("warning"), w.Warning)
			f.Set(at.Child("fieldRef"), strings.TrimSpace(w.FieldRef))
		}
	}
	f.Add(metavalidation.ValidateConditions(p.Status.Conditions, status.Child("conditions"))...)
	return f.List
}
