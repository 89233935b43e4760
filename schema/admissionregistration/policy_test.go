package admissionregistration

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema/internal/checktest"
)

func match() *admissionv1.MatchResources {
	return &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: rule()}}}
}

func TestValidatingPolicyErrors(t *testing.T) {
	type policy = *admissionv1.ValidatingAdmissionPolicy
	base := func() policy {
		return &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: match(), Validations: []admissionv1.Validation{{Expression: "true"}},
		}}
	}
	checktest.Create(t, ValidatingAdmissionPolicy, base, []checktest.Case[policy]{
		{Name: "good"},
		{Name: "empty", In: func(p policy) { p.Spec = admissionv1.ValidatingAdmissionPolicySpec{} }, Want: []string{
			"spec.matchConstraints: Required value",
			"spec.validations: Required value: validations or auditAnnotations must contain at least one item",
			"spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item",
		}},
		{Name: "constraints", In: func(p policy) { *p.Spec.MatchConstraints = admissionv1.MatchResources{} }, Want: []string{
			"spec.matchConstraints.resourceRules: Required value",
		}},
		{Name: "names of resources", In: func(p policy) { p.Spec.MatchConstraints.ResourceRules[0].ResourceNames = []string{"a", "a", ".."} }, Want: []string{
			`spec.matchConstraints.resourceRules[0].resourceNames[1]: Duplicate value: "a"`,
			`spec.matchConstraints.resourceRules[0].resourceNames[2]: Invalid value: "..": may not be '..'`,
		}},
		{Name: "parameters", In: func(p policy) { p.Spec.ParamKind = &admissionv1.ParamKind{APIVersion: "A/V1", Kind: "K.k"} }, Want: []string{
			`spec.paramKind.apiVersion: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
			`spec.paramKind.apiVersion: Invalid value: "V1": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')`,
			`spec.paramKind.kind: Invalid value: "K.k": may have mixed case, but should otherwise match: a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')`,
		}},
		{Name: "no version", In: func(p policy) { p.Spec.ParamKind = &admissionv1.ParamKind{APIVersion: "/"} },
			Want: []string{`spec.paramKind.apiVersion: Invalid value: "/": version must be specified`, "spec.paramKind.kind: Required value"}},
		{Name: "two slashes", In: func(p policy) { p.Spec.ParamKind = &admissionv1.ParamKind{APIVersion: "a/b/c", Kind: "K"} },
			Want: []string{`spec.paramKind.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c`}},
		{Name: "variables", In: func(p policy) { p.Spec.Variables = []admissionv1.Variable{{Name: "in", Expression: "1"}, {Name: " "}} }, Want: []string{
			`spec.variables[0].name: Invalid value: "in": must be a valid CEL identifier`,
			"spec.variables[1].name: Required value: name is not specified", "spec.variables[1].expression: Required value: expression is not specified",
		}},
		{Name: "validations", In: func(p policy) {
			p.Spec.Validations = []admissionv1.Validation{{Message: " ", MessageExpression: " ", Reason: ptr(metav1.StatusReasonGone)}, {Expression: "true", Message: "a\nb"}}
		}, Want: []string{
			"spec.validations[0].expression: Required value: expression is not specified",
			`spec.validations[0].messageExpression: Invalid value: " ": must be non-empty if specified`,
			`spec.validations[0].message: Invalid value: " ": must be non-empty if specified`,
			`spec.validations[0].reason: Unsupported value: "Gone": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge"`,
			`spec.validations[1].message: Invalid value: "a\nb": must not contain line breaks`,
		}},
		{Name: "annotations", In: func(p policy) {
			p.Spec.AuditAnnotations = []admissionv1.AuditAnnotation{{Key: "a", ValueExpression: strings.Repeat("x", 5121)}, {Key: "a"}, {Key: "-", ValueExpression: "'x'"}}
		}, Want: []string{
			"spec.auditAnnotations[0].valueExpression: Required value: must not exceed 5120 bytes in length",
			"spec.auditAnnotations[1].valueExpression: Required value: valueExpression is not specified",
			`spec.auditAnnotations[1].key: Duplicate value: "a"`,
			`spec.auditAnnotations[2].key: Invalid value: "p/-": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`,
		}},
	})
	checktest.Part(t, ValidatingAdmissionPolicy, "status", base, []checktest.Case[policy]{
		{Name: "status", In: func(p policy) {
			p.Status.TypeChecking = &admissionv1.TypeChecking{ExpressionWarnings: []admissionv1.ExpressionWarning{{FieldRef: " "}}}
			p.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "True", Reason: "r"}}
		}, Want: []string{
			"status.typeChecking.expressionWarnings[0].warning: Required value", "status.typeChecking.expressionWarnings[0].fieldRef: Required value",
			"status.conditions[0].lastTransitionTime: Required value",
		}},
	})
}

func TestMutatingPolicyErrors(t *testing.T) {
	type policy = *admissionv1.MutatingAdmissionPolicy
	base := func() policy {
		return &admissionv1.MutatingAdmissionPolicy{Spec: admissionv1.MutatingAdmissionPolicySpec{
			MatchConstraints: match(), ReinvocationPolicy: "Never", Mutations: []admissionv1.Mutation{{PatchType: "JSONPatch", JSONPatch: &admissionv1.JSONPatch{Expression: "[JSONPatch{op: 'remove', path: '/x'}]"}}},
		}}
	}
	checktest.Create(t, MutatingAdmissionPolicy, base, []checktest.Case[policy]{
		{Name: "good"},
		{Name: "nothing to do", In: func(p policy) { p.Spec.Mutations, p.Spec.ReinvocationPolicy = nil, "" },
			Want: []string{"spec.mutations: Required value: mutations must contain at least one item", "spec.reinvocationPolicy: Required value"}},
		{Name: "deletion", In: func(p policy) { p.Spec.MatchConstraints.ResourceRules[0].Operations[0] = "DELETE" },
			Want: []string{`spec.matchConstraints.resourceRules.operations: Unsupported value: "DELETE": supported values: "*", "CONNECT", "CREATE", "UPDATE"`}},
		{Name: "mutations", In: func(p policy) {
			both := admissionv1.Mutation{ApplyConfiguration: &admissionv1.ApplyConfiguration{}, JSONPatch: &admissionv1.JSONPatch{}}
			p.Spec.Mutations = []admissionv1.Mutation{both, both, both, both, {PatchType: "JSONPatch"}, {PatchType: "ApplyConfiguration"}}
			p.Spec.Mutations[1].PatchType, p.Spec.Mutations[2].PatchType, p.Spec.Mutations[3].PatchType = "JSONPatch", "ApplyConfiguration", "x"
		}, Want: []string{
			"spec.mutations[0].patchType: Required value",
			"spec.mutations[1].jsonPatch.expression: Required value",
			`spec.mutations[1].applyConfiguration: Invalid value: "{applyConfiguration}": must not be specified when patchType is JSONPatch`,
			"spec.mutations[2].applyConfiguration.expression: Required value",
			`spec.mutations[2].jsonPatch: Invalid value: "{jsonPatch}": must not be specified when patchType is ApplyConfiguration`,
			`spec.mutations[3].patchType: Unsupported value: "x": supported values: "ApplyConfiguration", "JSONPatch"`,
			"spec.mutations[4].jsonPatch: Required value: must be specified when patchType is JSONPatch",
			"spec.mutations[5].applyConfiguration: Required value: must be specified when patchType is ApplyConfiguration",
		}},
	})
}

func TestBindingErrors(t *testing.T) {
	type binding = *admissionv1.ValidatingAdmissionPolicyBinding
	base := func() binding {
		return &admissionv1.ValidatingAdmissionPolicyBinding{Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: "p", ParamRef: &admissionv1.ParamRef{Name: "x", ParameterNotFoundAction: ptr(admissionv1.DenyAction)}, ValidationActions: []admissionv1.ValidationAction{"Deny"},
		}}
	}
	checktest.Create(t, ValidatingAdmissionPolicyBinding, base, []checktest.Case[binding]{
		{Name: "good"},
		{Name: "empty", In: func(b binding) {
			b.Spec = admissionv1.ValidatingAdmissionPolicyBindingSpec{ParamRef: &admissionv1.ParamRef{}}
		}, Want: []string{
			"spec.policyName: Required value", "spec.paramRef: Required value: one of name or selector must be specified",
			"spec.paramRef.parameterNotFoundAction: Required value", "spec.validationActions: Required value: at least one validation action is required",
		}},
		{Name: "parameter", In: func(b binding) {
			*b.Spec.ParamRef = admissionv1.ParamRef{Name: ".", Selector: &metav1.LabelSelector{}, ParameterNotFoundAction: ptr(admissionv1.ParameterNotFoundActionType("x"))}
		}, Want: []string{
			`spec.paramRef.name: Invalid value: ".": may not be '.'`, "spec.paramRef.name: Forbidden: name and selector are mutually exclusive",
			"spec.paramRef.selector: Forbidden: name and selector are mutually exclusive",
			`spec.paramRef.parameterNotFoundAction: Unsupported value: "x": supported values: "Deny", "Allow"`,
		}},
		{Name: "actions", In: func(b binding) {
			b.Spec.ValidationActions = []admissionv1.ValidationAction{"Deny", "Warn", "Warn", "x"}
		}, Want: []string{
			`spec.validationActions[2]: Duplicate value: "Warn"`, `spec.validationActions[3]: Unsupported value: "x": supported values: "Audit", "Deny", "Warn"`,
			`spec.validationActions: Invalid value: ["Deny","Warn","Warn","x"]: must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)`,
		}},
	})
	type mutatingBinding = *admissionv1.MutatingAdmissionPolicyBinding
	checktest.Create(t, MutatingAdmissionPolicyBinding, func() mutatingBinding {
		return &admissionv1.MutatingAdmissionPolicyBinding{Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: "p", MatchResources: match()}}
	}, []checktest.Case[mutatingBinding]{
		{Name: "good"},
		{Name: "deletion", In: func(b mutatingBinding) { b.Spec.MatchResources.ResourceRules[0].Operations[0] = "DELETE" },
			Want: []string{`spec.matchResources.resourceRules.operations: Unsupported value: "DELETE": supported values: "*", "CONNECT", "CREATE", "UPDATE"`}},
	})
}

func TestPolicyRowsAndParts(t *testing.T) {
	now := metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	meta := metav1.ObjectMeta{Name: "p", CreationTimestamp: now}
	p := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: meta}
	if diff := cmp.Diff([]any{"p", int64(0), "<unset>", "0s"}, ValidatingAdmissionPolicy.Row(p, now)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	m := &admissionv1.MutatingAdmissionPolicy{ObjectMeta: meta, Spec: admissionv1.MutatingAdmissionPolicySpec{ParamKind: &admissionv1.ParamKind{APIVersion: "v1", Kind: "ConfigMap"}}}
	if diff := cmp.Diff([]any{"p", int64(0), "v1/ConfigMap", "0s"}, MutatingAdmissionPolicy.Row(m, now)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for want, ref := range map[string]*admissionv1.ParamRef{
		"<unset>": nil, "*/x": {Name: "x"}, "n/x": {Name: "x", Namespace: "n"},
		"&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},}": {Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}},
	} {
		b := &admissionv1.MutatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: "q", ParamRef: ref}}
		if diff := cmp.Diff([]any{"p", "q", want, "0s"}, MutatingAdmissionPolicyBinding.Row(b, now)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	p.Status.ObservedGeneration = 7
	ValidatingAdmissionPolicy.PrepareCreate(p)
	n := p.DeepCopy()
	n.Status.ObservedGeneration, n.Spec.Validations, n.Labels = 1, []admissionv1.Validation{{}}, map[string]string{"a": "b"}
	status := n.DeepCopy()
	ValidatingAdmissionPolicy.PrepareUpdate(n, p)
	ValidatingAdmissionPolicy.Subresource("status").Prepare(status, p)
	if p.Status.ObservedGeneration != 0 || n.Status.ObservedGeneration != 0 || n.Generation != 2 || status.Status.ObservedGeneration != 1 || status.Spec.Validations != nil || status.Labels != nil || status.Generation != 1 {
		t.Errorf("created %+v\nupdated %+v\nstatus %+v", p, n, status)
	}
}
