package admissionregistration

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema/internal/checktest"
)

func ptr[T any](v T) *T { return &v }

func rule() admissionv1.RuleWithOperations {
	return admissionv1.RuleWithOperations{
		Operations: []admissionv1.OperationType{"CREATE"},
		Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
	}
}

func mutating() *admissionv1.MutatingWebhookConfiguration {
	return &admissionv1.MutatingWebhookConfiguration{Webhooks: []webhook{{
		Name: "a.example.com", SideEffects: ptr(admissionv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
		ClientConfig: admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: "n", Name: "s"}},
		Rules:        []admissionv1.RuleWithOperations{rule()},
	}}}
}

func TestWebhookDefaults(t *testing.T) {
	c := mutating()
	MutatingWebhookConfiguration.Default(c)
	want := mutating().Webhooks[0]
	want.FailurePolicy, want.MatchPolicy, want.ReinvocationPolicy = ptr(admissionv1.Fail), ptr(admissionv1.Equivalent), ptr(admissionv1.NeverReinvocationPolicy)
	want.NamespaceSelector, want.ObjectSelector = &metav1.LabelSelector{}, &metav1.LabelSelector{}
	want.TimeoutSeconds, want.ClientConfig.Service.Port = ptr(int32(10)), ptr(int32(443))
	want.Rules[0].Scope = ptr(admissionv1.AllScopes)
	if diff := cmp.Diff([]webhook{want}, c.Webhooks); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWebhookErrors(t *testing.T) {
	type config = *admissionv1.MutatingWebhookConfiguration
	odd := func(change func(h *webhook)) func(config) {
		return func(c config) { change(&c.Webhooks[0]) }
	}
	url := func(text string) func(config) {
		return odd(func(h *webhook) { h.ClientConfig = admissionv1.WebhookClientConfig{URL: &text} })
	}
	const badValue = `webhooks[0].objectSelector.matchLabels: Invalid value: "-": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`
	checktest.Create(t, MutatingWebhookConfiguration, mutating, []checktest.Case[config]{
		{Name: "good"},
		{Name: "names", In: func(c config) { c.Webhooks = append(c.Webhooks, c.Webhooks[0]) }, Want: []string{`webhooks[1].name: Duplicate value: "a.example.com"`}},
		{Name: "enumerations", In: odd(func(h *webhook) {
			h.Name = "a.b"
			h.FailurePolicy, h.MatchPolicy, h.ReinvocationPolicy = ptr(admissionv1.FailurePolicyType("x")), ptr(admissionv1.MatchPolicyType("y")), ptr(admissionv1.ReinvocationPolicyType("z"))
			h.SideEffects, h.TimeoutSeconds = ptr(admissionv1.SideEffectClassSome), ptr(int32(31))
		}), Want: []string{
			`webhooks[0].name: Invalid value: "a.b": should be a domain with at least three segments separated by dots`,
			`webhooks[0].failurePolicy: Unsupported value: "x": supported values: "Fail", "Ignore"`,
			`webhooks[0].matchPolicy: Unsupported value: "y": supported values: "Equivalent", "Exact"`,
			`webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"`,
			"webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
			`webhooks[0].reinvocationPolicy: Unsupported value: "z": supported values: "IfNeeded", "Never"`,
		}},
		{Name: "what is required", In: odd(func(h *webhook) {
			*h = webhook{Rules: []admissionv1.RuleWithOperations{{}}}
		}), Want: []string{
			"webhooks[0].name: Required value",
			"webhooks[0].rules[0].operations: Required value", "webhooks[0].rules[0].apiGroups: Required value",
			"webhooks[0].rules[0].apiVersions: Required value", "webhooks[0].rules[0].resources: Required value",
			"webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun",
			"webhooks[0].clientConfig: Required value: exactly one of url or service is required",
			"webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1",
		}},
		{Name: "rule", In: odd(func(h *webhook) {
			h.Rules[0] = admissionv1.RuleWithOperations{Operations: []admissionv1.OperationType{"*", "x"}, Rule: admissionv1.Rule{
				APIGroups: []string{"*", "a"}, APIVersions: []string{"*", ""}, Resources: []string{"pods/*", "pods/log", "*/log", "x/log", "*/*", "", "*", "pods"}, Scope: ptr(admissionv1.ScopeType("x")),
			}}
		}), Want: []string{
			`webhooks[0].rules[0].operations: Invalid value: ["*","x"]: if '*' is present, must not specify other operations`,
			`webhooks[0].rules[0].operations[1]: Unsupported value: "x": supported values: "*", "CONNECT", "CREATE", "DELETE", "UPDATE"`,
			`webhooks[0].rules[0].apiGroups: Invalid value: ["*","a"]: if '*' is present, must not specify other API groups`,
			`webhooks[0].rules[0].apiVersions: Invalid value: ["*",""]: if '*' is present, must not specify other API versions`,
			"webhooks[0].rules[0].apiVersions[1]: Required value",
			`webhooks[0].rules[0].resources[1]: Invalid value: "pods/log": if 'pods/*' is present, must not specify pods/log`,
			`webhooks[0].rules[0].resources[3]: Invalid value: "x/log": if '*/log' is present, must not specify x/log`,
			"webhooks[0].rules[0].resources[5]: Required value",
			`webhooks[0].rules[0].resources: Invalid value: ["pods/*","pods/log","*/log","x/log","*/*","","*","pods"]: if '*/*' is present, must not specify other resources`,
			`webhooks[0].rules[0].resources: Invalid value: ["pods/*","pods/log","*/log","x/log","*/*","","*","pods"]: if '*' is present, must not specify other resources without subresources`,
			`webhooks[0].rules[0].scope: Unsupported value: "x": supported values: "*", "Cluster", "Namespaced"`,
		}},
		{Name: "URL", In: url("http://u:p@/x?q#f"), Want: []string{
			`webhooks[0].clientConfig.url: Invalid value: "http": 'https' is the only allowed URL scheme; desired format: https://host[/path]`,
			`webhooks[0].clientConfig.url: Invalid value: "": host must be specified; desired format: https://host[/path]`,
			`webhooks[0].clientConfig.url: Invalid value: "u:p": user information is not permitted in the URL`,
			`webhooks[0].clientConfig.url: Invalid value: "f": fragments are not permitted in the URL`,
			`webhooks[0].clientConfig.url: Invalid value: "q": query parameters are not permitted in the URL`,
		}},
		{Name: "no URL", In: url(":"), Want: []string{`webhooks[0].clientConfig.url: Required value: url must be a valid URL: parse ":": missing protocol scheme; desired format: https://host[/path]`}},
		{Name: "service", In: odd(func(h *webhook) {
			h.ClientConfig.Service = &admissionv1.ServiceReference{Name: "s", Path: ptr("a//b/"), Port: ptr(int32(0))}
		}), Want: []string{
			"webhooks[0].clientConfig.service.name: Required value",
			"webhooks[0].clientConfig.service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive",
			`webhooks[0].clientConfig.service.path: Invalid value: "a//b/": must start with a '/'`,
			`webhooks[0].clientConfig.service.path: Invalid value: "a//b/": segment[0] may not be empty`,
			`webhooks[0].clientConfig.service.path: Invalid value: "a//b/": segment[1] may not be empty`,
		}},
		{Name: "two slashes", In: odd(func(h *webhook) { h.ClientConfig.Service.Path = ptr("//") }),
			Want: []string{`webhooks[0].clientConfig.service.path: Invalid value: "//": segment[0] may not be empty`}},
		{Name: "review versions", In: odd(func(h *webhook) { h.AdmissionReviewVersions = []string{"v2", "v2"} }), Want: []string{
			`webhooks[0].admissionReviewVersions[1]: Invalid value: "v2": duplicate version`,
			`webhooks[0].admissionReviewVersions: Invalid value: ["v2","v2"]: must include at least one of v1, v1beta1`,
		}},
		{Name: "conditions", In: odd(func(h *webhook) {
			h.MatchConditions = append(make([]admissionv1.MatchCondition, 63), admissionv1.MatchCondition{Name: "a", Expression: "true"}, admissionv1.MatchCondition{Name: "a", Expression: " "})[62:]
		}), Want: []string{
			"webhooks[0].matchConditions[0].expression: Required value", "webhooks[0].matchConditions[0].name: Required value",
			"webhooks[0].matchConditions[2].expression: Required value", `webhooks[0].matchConditions[2].name: Duplicate value: "a"`,
		}},
		{Name: "selector", In: odd(func(h *webhook) { h.ObjectSelector.MatchLabels = map[string]string{"a": "-"} }), Want: []string{badValue}},
	})
	bad := func() config {
		c := mutating()
		c.Webhooks[0].SideEffects, c.Webhooks[0].AdmissionReviewVersions = nil, []string{"v0"}
		c.Webhooks[0].ObjectSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "In", Values: []string{"-"}}}}
		c.Webhooks[0].MatchConditions = []admissionv1.MatchCondition{{}}
		c.Webhooks = append(c.Webhooks, c.Webhooks[0])
		return c
	}
	checktest.Update(t, MutatingWebhookConfiguration, bad, []checktest.Case[config]{
		{Name: "mistakes stay", In: func(c config) {
			c.Webhooks[0].SideEffects, c.Webhooks[1].SideEffects = ptr(admissionv1.SideEffectClassSome), ptr(admissionv1.SideEffectClassSome)
		}},
		{Name: "no side effects", In: func(c config) { c.Webhooks = c.Webhooks[:1] }, Want: []string{
			"webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun, Some, Unknown",
			"webhooks[0].matchConditions[0].expression: Required value", "webhooks[0].matchConditions[0].name: Required value",
		}},
	})
}

func TestValidatingWebhooks(t *testing.T) {
	now := metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	c := &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "x.static.k8s.io", CreationTimestamp: now}, Webhooks: []admissionv1.ValidatingWebhook{{Name: "x"}}}
	want := []string{
		`webhooks[0].name: Invalid value: "x": should be a domain with at least three segments separated by dots`,
		"webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun",
		"webhooks[0].clientConfig: Required value: exactly one of url or service is required",
		"webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1",
	}
	if diff := cmp.Diff(want, checktest.Texts(ValidatingWebhookConfiguration.Validate(c))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	warning := []string{`metadata.name: names ending with ".static.k8s.io" are reserved for static manifest-based configurations and cannot be managed via the API`}
	if diff := cmp.Diff(warning, ValidatingWebhookConfiguration.Warnings(c, nil)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{"x.static.k8s.io", int64(1), "0s"}, ValidatingWebhookConfiguration.Row(c, now)); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
	ValidatingWebhookConfiguration.PrepareCreate(c)
	same, changed := c.DeepCopy(), c.DeepCopy()
	changed.Webhooks = nil
	ValidatingWebhookConfiguration.PrepareUpdate(same, c)
	ValidatingWebhookConfiguration.PrepareUpdate(changed, c)
	if c.Generation != 1 || same.Generation != 1 || changed.Generation != 2 {
		t.Errorf("generations %d, %d, %d", c.Generation, same.Generation, changed.Generation)
	}
}
