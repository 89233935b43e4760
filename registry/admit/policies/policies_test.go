package policies_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"sigs.k8s.io/yaml"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/admissionregistration"
	"gantry/schema/core"
	"gantry/schema/kinds"
)

func start(t *testing.T) *registry.Registry {
	r := registrytest.Run(t, registry.Config{Store: store.NewFake(), Kinds: kinds.New()})
	registrytest.Namespace(t, r, "default")
	return r
}

// register creates a policy with spec, and a binding with each of bindings, as YAML.
func register(t *testing.T, r *registry.Registry, spec string, bindings ...string) {
	t.Helper()
	p := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p"}}
	read(t, spec, &p.Spec)
	p.Spec.MatchConstraints = &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
		Operations: []admissionv1.OperationType{"CREATE", "UPDATE"}, Rule: admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
	}}}}
	create(t, r, admissionregistration.ValidatingAdmissionPolicy, p)
	for i, text := range bindings {
		b := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("b", i)}}
		read(t, text, &b.Spec)
		b.Spec.PolicyName = "p"
		create(t, r, admissionregistration.ValidatingAdmissionPolicyBinding, b)
	}
	for _, k := range []*schema.Kind{admissionregistration.ValidatingAdmissionPolicy, admissionregistration.ValidatingAdmissionPolicyBinding, core.ConfigMap} {
		if _, err := r.List(t.Context(), k, "", registry.ListOptions{}); err != nil { // the caches have them
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, text string, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, r *registry.Registry, k *schema.Kind, obj schema.Object) {
	t.Helper()
	registrytest.Must(t)(r.Create(t.Context(), k, obj, registry.WriteOptions{}))
}

func configMap(name, value string) *corev1.ConfigMap {
	m := registrytest.ConfigMap(name)
	m.Data = map[string]string{"value": value}
	return m
}

func TestPolicies(t *testing.T) {
	deny := "validationActions: [Deny]"
	for _, tt := range []struct {
		name, spec string
		bindings   []string
		value      string
		want       string // the status, "": it is allowed
		warnings   []string
	}{
		{"holds", "validations: [{expression: object.data.value == 'good'}]", []string{deny}, "good", "", nil},
		{"without a binding", "validations: [{expression: object.data.value == 'good'}]", nil, "bad", "", nil},
		{
			"does not hold", "validations: [{expression: object.data.value == 'good'}]", []string{deny}, "bad",
			`422 Invalid configmaps "m" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b0' denied request: failed expression: object.data.value == 'good'`, nil,
		},
		{
			"its own message and reason", "validations: [{expression: object.data.value == 'good', message: be good, reason: Forbidden}]", []string{deny}, "bad",
			`403 Forbidden configmaps "m" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b0' denied request: be good`, nil,
		},
		{
			"a message by expression, with a variable", "variables: [{name: v, expression: object.data.value}]\nvalidations: [{expression: variables.v == 'good', messageExpression: \"'not ' + variables.v\"}]",
			[]string{deny}, "bad", `422 Invalid configmaps "m" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b0' denied request: not bad`, nil,
		},
		{
			"a warning", "validations: [{expression: object.data.value == 'good'}]", []string{"validationActions: [Warn, Audit]"}, "bad", "",
			[]string{"Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b0': failed expression: object.data.value == 'good'"},
		},
		{
			"an expression that fails", "validations: [{expression: object.data.other == 'good'}]", []string{deny}, "bad",
			`422 Invalid configmaps "m" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b0' denied request: expression 'object.data.other == 'good'' resulted in error: no such key: other`, nil,
		},
		{"an expression that fails, ignored", "failurePolicy: Ignore\nvalidations: [{expression: object.data.other == 'good'}]", []string{deny}, "bad", "", nil},
		{"a condition that is not met", "matchConditions: [{name: c, expression: object.data.value != 'bad'}]\nvalidations: [{expression: 'false'}]", []string{deny}, "bad", "", nil},
		{
			"another namespace", "validations: [{expression: 'false'}]",
			[]string{"validationActions: [Deny]\nmatchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}"}, "bad", "", nil,
		},
		{
			"the namespace", "validations: [{expression: namespaceObject.metadata.name != 'default', message: not here}]", []string{deny}, "bad",
			`422 Invalid configmaps "m" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b0' denied request: not here`, nil,
		},
		{
			"a parameter", "paramKind: {apiVersion: v1, kind: ConfigMap}\nvalidations: [{expression: object.data.value == params.data.value, messageExpression: \"'want ' + params.data.value\"}]",
			[]string{"validationActions: [Deny]\nparamRef: {name: param, namespace: default, parameterNotFoundAction: Deny}"}, "bad",
			`422 Invalid configmaps "m" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b0' denied request: want good`, nil,
		},
		{
			"a parameter that is missing", "paramKind: {apiVersion: v1, kind: ConfigMap}\nvalidations: [{expression: 'true'}]",
			[]string{"validationActions: [Deny]\nparamRef: {name: none, namespace: default, parameterNotFoundAction: Deny}"}, "bad",
			"422 Invalid configmaps \"m\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b0' denied request: failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction", nil,
		},
		{
			"a parameter that is missing, allowed", "paramKind: {apiVersion: v1, kind: ConfigMap}\nvalidations: [{expression: 'false'}]",
			[]string{"validationActions: [Deny]\nparamRef: {name: none, namespace: default, parameterNotFoundAction: Allow}"}, "bad", "", nil,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t)
			create(t, r, core.ConfigMap, configMap("param", "good"))
			register(t, r, tt.spec, tt.bindings...)
			var warnings []string
			_, err := r.Create(t.Context(), core.ConfigMap, configMap("m", tt.value), registry.WriteOptions{Warn: func(texts []string) { warnings = append(warnings, texts...) }})
			got := ""
			var s *apierrors.StatusError
			switch {
			case errors.As(err, &s):
				got = fmt.Sprintf("%d %s %s", s.ErrStatus.Code, s.ErrStatus.Reason, s.ErrStatus.Message)
			case err != nil:
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("the answer is\n%s\nwant\n%s", got, tt.want)
			}
			if !slices.Equal(warnings, tt.warnings) {
				t.Errorf("warnings %q, want %q", warnings, tt.warnings)
			}
		})
	}
}

// A policy that changes counts as it is now.
func TestPolicyThatChanges(t *testing.T) {
	r := start(t)
	register(t, r, "validations: [{expression: object.data.value == 'one'}]", "validationActions: [Deny]")
	create(t, r, core.ConfigMap, configMap("a", "one"))
	_, err := registry.For[*admissionv1.ValidatingAdmissionPolicy](r).Modify(t.Context(), "", "p", func(p *admissionv1.ValidatingAdmissionPolicy) error {
		p.Spec.Validations[0].Expression = strings.Replace(p.Spec.Validations[0].Expression, "one", "two", 1)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.List(t.Context(), admissionregistration.ValidatingAdmissionPolicy, "", registry.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Create(t.Context(), core.ConfigMap, configMap("b", "one"), registry.WriteOptions{}); err == nil {
		t.Error("what the policy refuses now is allowed")
	}
	create(t, r, core.ConfigMap, configMap("c", "two"))
}

// Expressions ask who answers for the request what users may do.
func TestPolicyThatAsksForPermissions(t *testing.T) {
	r := start(t)
	register(t, r, "validations: [{expression: \"authorizer.group('').resource('secrets').namespace('default').check('get').allowed()\", message: may not read secrets}]",
		"validationActions: [Deny]")
	readers := authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		if a.GetUser().GetName() == "reader" && a.GetResource() == "secrets" && a.GetNamespace() == "default" && a.GetVerb() == "get" {
			return authorizer.DecisionAllow, "", nil
		}
		return authorizer.DecisionNoOpinion, "", nil
	})
	write := func(ctx context.Context, user string) error {
		ctx = registry.WithUser(ctx, &authenticationv1.UserInfo{Username: user})
		_, err := r.Create(ctx, core.ConfigMap, configMap(user, "x"), registry.WriteOptions{})
		return err
	}
	ctx := registry.WithAuthorizer(t.Context(), readers)
	if err := write(ctx, "reader"); err != nil {
		t.Errorf("the write of a user who may: %v", err)
	}
	if err := write(ctx, "other"); err == nil || !strings.Contains(err.Error(), "may not read secrets") {
		t.Errorf("the write of a user who may not: %v", err)
	}
	if err := write(t.Context(), "agent"); err != nil {
		t.Errorf("an agent's own write: %v", err)
	}
}
