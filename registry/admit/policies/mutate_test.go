package policies_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/schema"
	"gantry/schema/admissionregistration"
	"gantry/schema/apps"
	"gantry/schema/core"
)

// mutate creates a policy with spec for config maps and deployments, and a binding with each of bindings, as YAML.
func mutate(t *testing.T, r *registry.Registry, name, spec string, bindings ...string) {
	t.Helper()
	p := &admissionv1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
	read(t, "reinvocationPolicy: Never\n", &p.Spec)
	read(t, spec, &p.Spec)
	rule := admissionv1.Rule{APIGroups: []string{"", "apps"}, APIVersions: []string{"v1"}, Resources: []string{"configmaps", "deployments", "deployments/scale"}}
	p.Spec.MatchConstraints = &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
		Operations: []admissionv1.OperationType{"CREATE", "UPDATE"}, Rule: rule,
	}}}}
	create(t, r, admissionregistration.MutatingAdmissionPolicy, p)
	for i, text := range bindings {
		b := &admissionv1.MutatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(name, "-b", i)}}
		read(t, text, &b.Spec)
		b.Spec.PolicyName = name
		create(t, r, admissionregistration.MutatingAdmissionPolicyBinding, b)
	}
	for _, k := range []*schema.Kind{admissionregistration.MutatingAdmissionPolicy, admissionregistration.MutatingAdmissionPolicyBinding, core.ConfigMap, apps.Deployment} {
		if _, err := r.List(t.Context(), k, "", registry.ListOptions{}); err != nil { // the caches have them
			t.Fatal(err)
		}
	}
}

func applied(expression string) string {
	return fmt.Sprintf("mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: %q}}]", expression)
}

func patched(expression string) string {
	return fmt.Sprintf("mutations: [{patchType: JSONPatch, jsonPatch: {expression: %q}}]", expression)
}

const inForce = "{}"

// answerOf is a refusal as a client sees it; "" where there is none.
func answerOf(err error) string {
	var s *apierrors.StatusError
	switch {
	case errors.As(err, &s):
		return fmt.Sprintf("%d %s %s", s.ErrStatus.Code, s.ErrStatus.Reason, s.ErrStatus.Message)
	case err != nil:
		return err.Error()
	}
	return ""
}

func TestMutations(t *testing.T) {
	const denied = "403 Invalid policy 'p' with binding 'p-b0' denied request: "
	for _, tt := range []struct {
		name, spec string
		bindings   []string
		want       map[string]string // the data; nil: it is refused
		fail       string
	}{
		{"a member is added", applied(`Object{data: {"new": "1"}}`), []string{inForce}, map[string]string{"value": "good", "new": "1"}, ""},
		{"a member by a string of the object", applied(`Object{data: {"copy": object.data.value + "!"}}`), []string{inForce}, map[string]string{"value": "good", "copy": "good!"}, ""},
		{"without a binding", applied(`Object{data: {"new": "1"}}`), nil, map[string]string{"value": "good"}, ""},
		{
			"two mutations, the second of what the first has made",
			"mutations:\n- {patchType: ApplyConfiguration, applyConfiguration: {expression: 'Object{data: {\"a\": \"1\"}}'}}\n" +
				"- {patchType: JSONPatch, jsonPatch: {expression: '[JSONPatch{op: \"add\", path: \"/data/b\", value: object.data.a + \"2\"}]'}}",
			[]string{inForce}, map[string]string{"value": "good", "a": "1", "b": "12"}, "",
		},
		{
			"operations, with an escaped name and an object",
			patched(`[JSONPatch{op: "add", path: "/metadata/labels", value: {"x/y": "1"}}, JSONPatch{op: "replace", path: "/metadata/labels/" + jsonpatch.escapeKey("x/y"), value: "2"}, JSONPatch{op: "add", path: "/data/" + jsonpatch.escapeKey("x.y"), value: "3"}]`),
			[]string{inForce}, map[string]string{"value": "good", "x.y": "3"}, "",
		},
		{"a test that does not hold", patched(`[JSONPatch{op: "test", path: "/data/value", value: "bad"}, JSONPatch{op: "add", path: "/data/new", value: "1"}]`), []string{inForce}, map[string]string{"value": "good"}, ""},
		{
			"variables, a condition that holds and the namespace", "variables: [{name: v, expression: object.data.value}]\nmatchConditions: [{name: c, expression: object.data.value == 'good'}]\n" +
				applied(`Object{data: {"new": variables.v + " in " + namespaceObject.metadata.name}}`),
			[]string{inForce}, map[string]string{"value": "good", "new": "good in default"}, "",
		},
		{"a condition that does not hold", "matchConditions: [{name: c, expression: object.data.value != 'good'}]\n" + applied(`Object{data: {"new": "1"}}`), []string{inForce}, map[string]string{"value": "good"}, ""},
		{
			"a parameter", "paramKind: {apiVersion: v1, kind: ConfigMap}\n" + applied(`Object{data: {"new": params.data.value}}`),
			[]string{"paramRef: {name: param, namespace: default, parameterNotFoundAction: Deny}"}, map[string]string{"value": "good", "new": "of the parameter"}, "",
		},
		{
			"a parameter that is missing", "paramKind: {apiVersion: v1, kind: ConfigMap}\n" + applied(`Object{data: {"new": params.data.value}}`),
			[]string{"paramRef: {name: none, namespace: default, parameterNotFoundAction: Deny}"}, nil,
			"403 Forbidden policy 'p' with binding 'p-b0' denied request: failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction",
		},
		{
			"permissions", applied(`Object{data: {"may": string(authorizer.group('').resource('secrets').check('get').allowed())}}`), []string{inForce},
			map[string]string{"value": "good", "may": "true"}, "",
		},
		{"another namespace", applied(`Object{data: {"new": "1"}}`), []string{"matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}"}, map[string]string{"value": "good"}, ""},
		{
			"an expression that fails", applied(`Object{data: {"new": object.data.other}}`), []string{inForce}, nil,
			denied + `expression 'Object{data: {"new": object.data.other}}' resulted in error: no such key: other`,
		},
		{"an expression that fails, ignored", "failurePolicy: Ignore\n" + applied(`Object{data: {"new": object.data.other}}`), []string{inForce}, map[string]string{"value": "good"}, ""},
		{
			"a field that is unknown", applied(`Object{dota: {"new": "1"}}`), []string{inForce}, nil,
			denied + `error applying patch: failed to convert patch object to typed object: .dota: field not declared in schema`,
		},
		{
			"a value of another type", applied(`Object{data: {"new": 1}}`), []string{inForce}, nil,
			denied + `error applying patch: failed to convert patch object to typed object: .data.new: expected string, got &value.valueUnstructured{Value:1}`,
		},
		{
			"a type that is another field's", applied(`Object{metadata: Object.data{labels: {"a": "b"}}}`), []string{inForce}, nil,
			denied + `type mismatch: unexpected type name "Object.data", expected "Object.metadata", which matches field name path from root Object type`,
		},
		{
			"a path that is missing", patched(`[JSONPatch{op: "remove", path: "/data/none"}]`), []string{inForce}, nil,
			denied + `JSON Patch: error in remove for path: '/data/none': unable to remove nonexistent key: none: missing value`,
		},
		{
			"an operation that adds an unknown field", patched(`[JSONPatch{op: "add", path: "/dota", value: "x"}]`), []string{inForce}, nil,
			`500 InternalError Internal error occurred: strict decoding error: unknown field "dota"`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t)
			create(t, r, core.ConfigMap, configMap("param", "of the parameter"))
			mutate(t, r, "p", tt.spec, tt.bindings...)
			it, err := r.Create(t.Context(), core.ConfigMap, configMap("m", "good"), registry.WriteOptions{})
			if got := answerOf(err); got != tt.fail {
				t.Fatalf("the answer is\n%s\nwant\n%s", got, tt.fail)
			}
			if tt.want == nil {
				return
			}
			if diff := cmp.Diff(tt.want, dataOf(it)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func dataOf(it *registry.Item) map[string]string {
	return it.Object().(*corev1.ConfigMap).Data
}

func deployment() *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "d", Namespace: "default"}}
	d.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "d"}}
	d.Spec.Template.Labels = d.Spec.Selector.MatchLabels
	d.Spec.Template.Spec.Containers = registrytest.Pod("x").Spec.Containers
	return d
}

// Lists with keys are merged by them, defaults are set in what is new, and what is only replaced as a whole is refused.
func TestMutationOfLists(t *testing.T) {
	r := start(t)
	mutate(t, r, "p", applied(`Object{spec: Object.spec{replicas: 3, template: Object.spec.template{spec: Object.spec.template.spec{
		containers: [Object.spec.template.spec.containers{name: "sidecar", image: "side:1", env: [Object.spec.template.spec.containers.env{name: "A", value: "1"}]}]}}}}`), inForce)
	create(t, r, apps.Deployment, deployment())
	d, err := registry.For[*appsv1.Deployment](r).Get(t.Context(), "default", "d")
	if err != nil {
		t.Fatal(err)
	}
	if containers := d.Spec.Template.Spec.Containers; *d.Spec.Replicas != 3 || len(containers) != 2 || containers[1].Name != "sidecar" || containers[1].Env[0].Value != "1" ||
		containers[1].TerminationMessagePath == "" {
		t.Errorf("%d replicas of %+v", *d.Spec.Replicas, containers)
	}
	r = start(t)
	mutate(t, r, "p", applied(`Object{spec: Object.spec{selector: Object.spec.selector{matchLabels: {"app": "x"}}}}`), inForce)
	_, err = r.Create(t.Context(), apps.Deployment, deployment(), registry.WriteOptions{})
	const want = "403 Invalid policy 'p' with binding 'p-b0' denied request: error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.selector"
	if got := answerOf(err); got != want {
		t.Errorf("the answer is\n%s\nwant\n%s", got, want)
	}
}

// The body of a subresource is changed by its own type.
func TestMutationOfAScale(t *testing.T) {
	r := start(t)
	create(t, r, apps.Deployment, deployment())
	mutate(t, r, "p", "matchConditions: [{name: c, expression: \"request.subResource == 'scale'\"}]\n"+applied(`Object{spec: Object.spec{replicas: object.spec.replicas + 1}}`), inForce)
	registrytest.Modify(t, r, "default", "d", "scale", func(d *appsv1.Deployment) { d.Spec.Replicas = ptr.To[int32](4) })
	d, err := registry.For[*appsv1.Deployment](r).Get(t.Context(), "default", "d")
	if err != nil {
		t.Fatal(err)
	}
	if *d.Spec.Replicas != 5 {
		t.Errorf("%d replicas, want 5", *d.Spec.Replicas)
	}
}

// A policy runs again after another one has changed the object, once, where it wants that.
func TestReinvocation(t *testing.T) {
	for policy, want := range map[string]string{"Never": "good", "IfNeeded": "good!"} {
		t.Run(policy, func(t *testing.T) {
			r := start(t)
			mutate(t, r, "a", "reinvocationPolicy: "+policy+"\n"+applied(`Object{data: {"copy": object.data.value}}`), inForce)
			mutate(t, r, "b", applied(`Object{data: {"value": object.data.value + "!"}}`), inForce)
			it, err := r.Create(t.Context(), core.ConfigMap, configMap("m", "good"), registry.WriteOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]string{"value": "good!", "copy": want}, dataOf(it)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What policies refuse together is in one answer, each as a cause.
func TestRefusalsOfTwoPolicies(t *testing.T) {
	r := start(t)
	mutate(t, r, "a", applied(`Object{data: {"new": object.data.x}}`), inForce)
	mutate(t, r, "b", applied(`Object{data: {"new": object.data.y}}`), inForce)
	_, err := r.Create(t.Context(), core.ConfigMap, configMap("m", "good"), registry.WriteOptions{})
	var s *apierrors.StatusError
	if !errors.As(err, &s) || len(s.ErrStatus.Details.Causes) != 2 || !strings.Contains(s.ErrStatus.Details.Causes[1].Message, "policy 'b'") {
		t.Errorf("the answer is %v", err)
	}
}
