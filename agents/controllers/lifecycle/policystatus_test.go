package lifecycle

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema/kinds"
)

func TestPlanPolicyStatus(t *testing.T) {
	set := kinds.New().Set()
	rule := func(group string, resources ...string) admissionv1.NamedRuleWithOperations {
		return admissionv1.NamedRuleWithOperations{RuleWithOperations: admissionv1.RuleWithOperations{Rule: admissionv1.Rule{APIGroups: []string{group}, APIVersions: []string{"v1"}, Resources: resources}}}
	}
	type policy = *admissionv1.ValidatingAdmissionPolicy
	for name, tt := range map[string]struct {
		in   func(policy)
		want map[string][]string // what the warning of a field contains
	}{
		"good": {in: func(p policy) {
			p.Spec.Validations = []admissionv1.Validation{{Expression: "object.spec.replicas < 5 && object.metadata.labels['a'] == 'b'", MessageExpression: "oldObject.metadata.name + string(variables.n)"}}
			p.Spec.Variables = []admissionv1.Variable{{Name: "n", Expression: "object.spec.template.spec.containers.size()"}}
		}},
		"unknown fields": {in: func(p policy) {
			p.Spec.Validations = []admissionv1.Validation{{Expression: "object.spec.x == 1"}, {Expression: "true", MessageExpression: "object.y"}}
		}, want: map[string][]string{
			"spec.validations[0].expression":        {"apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'x'\n | object.spec.x == 1\n | ...........^\n"},
			"spec.validations[1].messageExpression": {"apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'y'"},
		}},
		"types": {in: func(p policy) {
			p.Spec.Validations = []admissionv1.Validation{{Expression: "object.spec.replicas > '1'"}, {Expression: "variables.n == ''"}}
			p.Spec.Variables = []admissionv1.Variable{{Name: "n", Expression: "object.spec.replicas"}}
		}, want: map[string][]string{
			"spec.validations[0].expression": {"found no matching overload for '_>_' applied to '(int, string)'"},
			"spec.validations[1].expression": {"found no matching overload for '_==_' applied to '(int, string)'"},
		}},
		"parameters": {in: func(p policy) {
			p.Spec.ParamKind = &admissionv1.ParamKind{APIVersion: "v1", Kind: "ConfigMap"}
			p.Spec.Validations = []admissionv1.Validation{{Expression: "params.data.x == 'a' && params.x"}}
		}, want: map[string][]string{"spec.validations[0].expression": {"undefined field 'x'"}}},
		"unknown parameters": {in: func(p policy) {
			p.Spec.ParamKind = &admissionv1.ParamKind{APIVersion: "example.com/v1", Kind: "Limit"}
			p.Spec.Validations = []admissionv1.Validation{{Expression: "params.x.y"}}
		}},
		"several kinds": {in: func(p policy) {
			p.Spec.MatchConstraints.ResourceRules = append(p.Spec.MatchConstraints.ResourceRules, rule("apps", "statefulsets", "deployments/scale"), rule("*", "pods"))
			p.Spec.Validations = []admissionv1.Validation{{Expression: "object.spec.strategy.type == 'a' && object.spec.x == 1"}}
		}, want: map[string][]string{"spec.validations[0].expression": {
			"apps/v1, Kind=Deployment: ERROR: <input>:1:48: undefined field 'x'",
			"\n\napps/v1, Kind=StatefulSet: ERROR: <input>:1:12: undefined field 'strategy'",
		}}},
		"no type": {in: func(p policy) {
			p.Spec.MatchConstraints.ResourceRules = []admissionv1.NamedRuleWithOperations{rule("example.com", "widgets")}
			p.Spec.Validations = []admissionv1.Validation{{Expression: "object.x"}}
		}},
	} {
		p := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p", Generation: 2}, Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{rule("apps", "deployments")}},
		}}
		p.Status.ObservedGeneration = 1
		tt.in(p)
		plan := planPolicyStatus(p, set)
		if len(plan) != 1 {
			t.Fatalf("%s: plan %v", name, plan)
		}
		done := plan[0].Object.(*admissionv1.ValidatingAdmissionPolicy)
		warnings := done.Status.TypeChecking.ExpressionWarnings
		if done.Status.ObservedGeneration != 2 || len(warnings) != len(tt.want) {
			t.Errorf("%s: status %+v", name, done.Status)
		}
		for _, w := range warnings {
			for _, part := range tt.want[w.FieldRef] {
				if !strings.Contains(w.Warning, part) {
					t.Errorf("%s: %s: %s\nwant %s", name, w.FieldRef, w.Warning, part)
				}
			}
			if tt.want[w.FieldRef] == nil {
				t.Errorf("%s: a warning of %s: %s", name, w.FieldRef, w.Warning)
			}
		}
		if plan := planPolicyStatus(done, set); plan != nil {
			t.Errorf("%s: the plan repeats itself: %v", name, cmp.Diff(done, plan[0].Object))
		}
	}
}
