package admissionregistration

import (
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema/internal/checktest"
)

// failed is what follows the path and the expression of an expression with an undeclared name.
func failed(field, expression, name string, column int) string {
	return field + `: Invalid value: "` + expression + `": compilation failed: ERROR: <input>:1:` + string(rune('0'+column)) + `: undeclared reference to '` + name +
		"' (in container '')\n | " + expression + "\n | " + strings.Repeat(".", column-1) + "^"
}

func TestExpressionsOfValidatingPolicies(t *testing.T) {
	type policy = *validatingPolicy
	base := func() policy {
		return &validatingPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: match(), Validations: []admissionv1.Validation{{Expression: "true"}},
		}}
	}
	checktest.Create(t, ValidatingAdmissionPolicy, base, []checktest.Case[policy]{
		{Name: "everything", In: func(p policy) {
			p.Spec.ParamKind = &admissionv1.ParamKind{APIVersion: "v1", Kind: "ConfigMap"}
			p.Spec.MatchConditions = []admissionv1.MatchCondition{{Name: "c", Expression: "request.operation == 'CREATE' && has(params.data)"}}
			p.Spec.Variables = []admissionv1.Variable{{Name: "names", Expression: "object.spec.containers.map(c, c.name)"}, {Name: "all", Expression: "variables.names"}}
			p.Spec.Validations[0] = admissionv1.Validation{
				Expression:        "size(variables.all) < int(params.data.max) && authorizer.requestResource.check('get').allowed()",
				MessageExpression: "'too many: ' + string(size(variables.names)) + ' in ' + namespaceObject.metadata.name",
			}
			p.Spec.AuditAnnotations = []admissionv1.AuditAnnotation{{Key: "k", ValueExpression: " oldObject == null ? 'new' : 'old' "}}
		}},
		{Name: "types", In: func(p policy) {
			p.Spec.MatchConditions = []admissionv1.MatchCondition{{Name: "c", Expression: "1"}}
			p.Spec.Validations[0] = admissionv1.Validation{Expression: "'x'", MessageExpression: "true"}
			p.Spec.AuditAnnotations = []admissionv1.AuditAnnotation{{Key: "k", ValueExpression: " 1"}}
		}, Want: []string{
			`spec.matchConditions[0].expression: Invalid value: "1": must evaluate to bool but got int`,
			`spec.validations[0].expression: Invalid value: "'x'": must evaluate to bool but got string`,
			`spec.validations[0].messageExpression: Invalid value: "true": must evaluate to string but got bool`,
			`spec.auditAnnotations[0].valueExpression: Invalid value: " 1": must evaluate to one of [string null_type] but got int`,
		}},
		{Name: "names without their declaration", In: func(p policy) {
			p.Spec.MatchConditions = []admissionv1.MatchCondition{{Name: "c", Expression: "params.x"}}
			p.Spec.Validations[0] = admissionv1.Validation{Expression: "variables.x", MessageExpression: "authorizer"}
		}, Want: []string{
			failed("spec.matchConditions[0].expression", "params.x", "params", 1),
			failed("spec.validations[0].expression", "variables.x", "variables", 1),
			failed("spec.validations[0].messageExpression", "authorizer", "authorizer", 1),
		}},
		{Name: "a condition with a variable", In: func(p policy) {
			p.Spec.Variables = []admissionv1.Variable{{Name: "x", Expression: "true"}}
			p.Spec.MatchConditions = []admissionv1.MatchCondition{{Name: "c", Expression: "variables.x"}}
		}, Want: []string{failed("spec.matchConditions[0].expression", "variables.x", "variables", 1)}},
		{Name: "types of variables", In: func(p policy) {
			p.Spec.Variables = []admissionv1.Variable{{Name: "n", Expression: "1"}, {Name: "wrong", Expression: "x"}}
			p.Spec.Validations = []admissionv1.Validation{{Expression: "variables.n"}, {Expression: "variables.wrong"}}
		}, Want: []string{
			failed("spec.variables[1].expression", "x", "x", 1),
			`spec.validations[0].expression: Invalid value: "variables.n": must evaluate to bool but got int`,
			`spec.validations[1].expression: Invalid value: "variables.wrong": must evaluate to bool but got dyn`,
		}},
	})
	checktest.Update(t, ValidatingAdmissionPolicy, func() policy {
		p := base()
		p.Spec.MatchConditions = []admissionv1.MatchCondition{{Name: "c", Expression: "params.x"}}
		return p
	}, []checktest.Case[policy]{
		{Name: "conditions that are stored already", In: func(p policy) { p.Labels = map[string]string{"a": "b"} }},
		{Name: "a changed condition", In: func(p policy) { p.Spec.MatchConditions[0].Name = "d" }, Want: []string{failed("spec.matchConditions[0].expression", "params.x", "params", 1)}},
	})
}

func TestExpressionsOfMutatingPolicies(t *testing.T) {
	type policy = *mutatingPolicy
	patch := func(expression string) admissionv1.Mutation {
		return admissionv1.Mutation{PatchType: admissionv1.PatchTypeJSONPatch, JSONPatch: &admissionv1.JSONPatch{Expression: expression}}
	}
	apply := func(expression string) admissionv1.Mutation {
		return admissionv1.Mutation{PatchType: admissionv1.PatchTypeApplyConfiguration, ApplyConfiguration: &admissionv1.ApplyConfiguration{Expression: expression}}
	}
	base := func() policy {
		return &mutatingPolicy{Spec: admissionv1.MutatingAdmissionPolicySpec{
			MatchConstraints: match(), ReinvocationPolicy: "Never", Mutations: []admissionv1.Mutation{patch("[JSONPatch{op: 'remove', path: '/x'}]")},
		}}
	}
	checktest.Create(t, MutatingAdmissionPolicy, base, []checktest.Case[policy]{
		{Name: "good", In: func(p policy) {
			p.Spec.Variables = []admissionv1.Variable{{Name: "n", Expression: "1"}}
			p.Spec.Mutations = append(p.Spec.Mutations, apply("Object{spec: Object.spec{replicas: variables.n}}"), patch(" [JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('a/b'), value: 'c'}] "))
		}},
		{Name: "types", In: func(p policy) {
			p.Spec.Mutations = []admissionv1.Mutation{patch("[]"), apply(" true ")}
		}, Want: []string{
			`spec.mutations[0].jsonPatch.expression: Invalid value: "[]": must evaluate to list(JSONPatch) but got list(dyn)`,
			`spec.mutations[1].applyConfiguration.expression: Invalid value: "true": must evaluate to Object but got bool`,
		}},
		{Name: "no variables", In: func(p policy) { p.Spec.Mutations[0] = apply("variables.x") }, Want: []string{
			`spec.mutations[0].applyConfiguration.expression: Invalid value: "variables.x": compilation failed: ERROR: <input>:1:10: undefined field 'x'` + "\n | variables.x\n | .........^",
		}},
	})
}

func TestConditionsOfWebhooks(t *testing.T) {
	type config = *mutatingWebhooks
	conditions := func(list ...string) func(config) {
		return func(c config) {
			for _, expression := range list {
				c.Webhooks[0].MatchConditions = append(c.Webhooks[0].MatchConditions, admissionv1.MatchCondition{Name: "c" + expression[:1], Expression: expression})
			}
		}
	}
	checktest.Create(t, MutatingWebhookConfiguration, mutating, []checktest.Case[config]{
		{Name: "good", In: conditions("request.userInfo.username != 'x'", "object.metadata.name == 'y'")},
		{Name: "bad", In: conditions("params.x", "2"), Want: []string{
			failed("webhooks[0].matchConditions[0].expression", "params.x", "params", 1),
			`webhooks[0].matchConditions[1].expression: Invalid value: "2": must evaluate to bool but got int`,
		}},
	})
}

// An object with thousands of expressions that do not compile is refused with as many errors as are listed.
func TestManyBadExpressions(t *testing.T) {
	p := &validatingPolicy{Spec: admissionv1.ValidatingAdmissionPolicySpec{MatchConstraints: match(), Validations: make([]admissionv1.Validation, 20000)}}
	for i := range p.Spec.Validations {
		p.Spec.Validations[i].Expression = strings.Repeat("x+", 20) + "x"
	}
	if got := len(ValidatingAdmissionPolicy.Validate(p)); got > 501 {
		t.Errorf("%d errors", got)
	}
}
