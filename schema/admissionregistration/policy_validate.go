package admissionregistration

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/cel"
	"gantry/schema/internal/check"
)

var specPath = field.NewPath("spec")

func checkValidatingPolicy(p *validatingPolicy, e *expressions) {
	spec, f := &p.Spec, e.errs
	validations, annotations := specPath.Child("validations"), specPath.Child("auditAnnotations")
	if len(spec.Validations)+len(spec.AuditAnnotations) == 0 {
		const one = "validations or auditAnnotations must contain at least one item"
		f.Required(validations, one)
		f.Required(annotations, one)
	}
	for i := range spec.Validations {
		e.checkValidation(&spec.Validations[i], validations.Index(i))
	}
	e.checkAuditAnnotations(p.Name, spec.AuditAnnotations, annotations)
}

func checkMutatingPolicy(p *mutatingPolicy, e *expressions) {
	spec, f := &p.Spec, e.errs
	mutations := specPath.Child("mutations")
	if len(spec.Mutations) == 0 {
		f.Required(mutations, "mutations must contain at least one item")
	}
	for i := range spec.Mutations {
		e.checkMutation(&spec.Mutations[i], mutations.Index(i))
	}
	check.SetOneOf(f, specPath.Child("reinvocationPolicy"), spec.ReinvocationPolicy, admissionv1.IfNeededReinvocationPolicy, admissionv1.NeverReinvocationPolicy)
}

// checkPolicy checks what both kinds of policies have before their conditions.
func checkPolicy(f *check.Errors, s policySpec) {
	if *s.failure == nil {
		f.Required(specPath.Child("failurePolicy"), "")
	}
	checkPolicies(f, *s.failure, nil, specPath)
	if s.params != nil {
		checkParamKind(f, s.params, specPath.Child("paramKind"))
	}
	constraints := specPath.Child("matchConstraints")
	if s.match == nil {
		f.Required(constraints, "")
		return
	}
	checkMatch(f, s.match, constraints)
	if len(s.match.ResourceRules) == 0 {
		f.Required(constraints.Child("resourceRules"), "")
	}
	if s.mutates {
		checkMutable(f, s.match, constraints)
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

func (e *expressions) checkVariables(list []admissionv1.Variable) {
	for i, v := range list {
		p := specPath.Child("variables").Index(i)
		if isBlank(v.Name) {
			e.errs.Required(p.Child("name"), "name is not specified")
		} else if !identifier.MatchString(v.Name) || slices.Contains(reserved, v.Name) {
			e.errs.Invalid(p.Child("name"), v.Name, "must be a valid CEL identifier")
		}
		e.checkVariable(v.Name, v.Expression, p.Child("expression"))
	}
}

func (e *expressions) checkValidation(v *admissionv1.Validation, p *field.Path) {
	f := e.errs
	if !e.check(v.Expression, cel.Has{Authorizer: true}, cel.Condition, p.Child("expression")) {
		f.Required(p.Child("expression"), unspecified)
	}
	const empty = "must be non-empty if specified"
	if !e.check(v.MessageExpression, cel.Has{}, cel.Message, p.Child("messageExpression")) && v.MessageExpression != "" {
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

func (e *expressions) checkAuditAnnotations(policy string, list []admissionv1.AuditAnnotation, p *field.Path) {
	f := e.errs
	if len(list) > maxAuditAnnotations {
		f.Invalid(p, list, fmt.Sprintf("must not have more than %d auditAnnotations", maxAuditAnnotations))
	}
	seen := map[string]bool{}
	for i, a := range list {
		key, value := p.Index(i).Child("key"), p.Index(i).Child("valueExpression")
		if policy == "" {
			f.Invalid(key, a.Key, "requires metadata.name be non-empty")
		} else {
			f.Qualified(key, policy+"/"+a.Key)
		}
		if trimmed := strings.TrimSpace(a.ValueExpression); trimmed == "" {
			f.Required(value, "valueExpression is not specified")
		} else if len(trimmed) > maxValueExpression {
			f.Required(value, fmt.Sprintf("must not exceed %d bytes in length", maxValueExpression))
		} else {
			e.checkTrimmed(a.ValueExpression, cel.Has{Authorizer: true}, cel.Annotation, value)
		}
		if seen[a.Key] {
			f.Duplicate(key, a.Key)
		}
		seen[a.Key] = true
	}
}

// checkMutation checks that the patch of the type is there, and no other.
func (e *expressions) checkMutation(m *admissionv1.Mutation, p *field.Path) {
	f, apply, patch := e.errs, p.Child("applyConfiguration"), p.Child("jsonPatch")
	switch m.PatchType {
	case "":
		f.Required(p.Child("patchType"), "")
	case admissionv1.PatchTypeJSONPatch:
		if m.JSONPatch == nil {
			f.Required(patch, "must be specified when patchType is JSONPatch")
		} else {
			e.checkPatch(m.JSONPatch.Expression, cel.JSONPatch, patch.Child("expression"))
		}
		if m.ApplyConfiguration != nil {
			f.Invalid(apply, "{applyConfiguration}", "must not be specified when patchType is JSONPatch")
		}
	case admissionv1.PatchTypeApplyConfiguration:
		if m.ApplyConfiguration == nil {
			f.Required(apply, "must be specified when patchType is ApplyConfiguration")
		} else {
			e.checkPatch(m.ApplyConfiguration.Expression, cel.ApplyConfiguration, apply.Child("expression"))
		}
		if m.JSONPatch != nil {
			f.Invalid(patch, "{jsonPatch}", "must not be specified when patchType is ApplyConfiguration")
		}
	default:
		check.OneOf(f, p.Child("patchType"), m.PatchType, admissionv1.PatchTypeApplyConfiguration, admissionv1.PatchTypeJSONPatch)
	}
}

// validateStatus checks what a controller found in the expressions, and the conditions.
func validateStatus(p, _ *validatingPolicy) field.ErrorList {
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
