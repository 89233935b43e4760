package core

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// amounts makes a list of names and quantities, in turn.
func amounts(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}

func TestLimitRangeErrors(t *testing.T) {
	type ranges = corev1.LimitRange
	item := func(l *corev1.LimitRangeItem) func(*ranges) {
		return func(r *ranges) { r.Spec.Limits = []corev1.LimitRangeItem{*l} }
	}
	const p = "spec.limits[0]"
	runValidate(t, LimitRange, func() *ranges { return &ranges{} }, []errorCase[*ranges]{
		{name: "empty"},
		{"types", func(r *ranges) {
			r.Spec.Limits = []corev1.LimitRangeItem{{Type: "x"}, {Type: "a/b"}, {Type: "a/b"}, {Type: "Pod"}}
		}, []string{
			p + `.type: Invalid value: "x": must be a standard limit type or fully qualified`, `spec.limits[2].type: Duplicate value: "a/b"`,
		}},
		{"names", item(&corev1.LimitRangeItem{Type: "Container", Max: amounts("pods", "1"), Default: amounts("cpu", "1"), Min: amounts("x", "1")}), []string{
			p + `.max[pods]: Invalid value: "pods": must be a standard resource for containers`,
			p + `.min[x]: Invalid value: "x": must be a standard resource type or fully qualified`,
			p + `.min[x]: Invalid value: "x": must be a standard resource for containers`,
			p + `.default[pods]: Invalid value: "pods": must be a standard resource for containers`,
			p + `.defaultRequest[pods]: Invalid value: "pods": must be a standard resource for containers`,
			p + `.defaultRequest[x]: Invalid value: "x": must be a standard resource type or fully qualified`,
			p + `.defaultRequest[x]: Invalid value: "x": must be a standard resource for containers`,
		}},
		{"defaults of a pod", item(&corev1.LimitRangeItem{Type: "Pod", Default: amounts("cpu", "1"), DefaultRequest: amounts("cpu", "1")}), []string{
			p + ".default: Forbidden: may not be specified when `type` is 'Pod'", p + ".defaultRequest: Forbidden: may not be specified when `type` is 'Pod'",
		}},
		{"a claim", item(&corev1.LimitRangeItem{Type: "PersistentVolumeClaim"}), []string{p + ".limits: Required value: either minimum or maximum storage value is required, but neither was provided"}},
		{"order", item(&corev1.LimitRangeItem{Type: "Container", Min: amounts("cpu", "4"), Max: amounts("cpu", "1"), Default: amounts("cpu", "2"), DefaultRequest: amounts("cpu", "3")}), []string{
			p + `.min[cpu]: Invalid value: "4": min value 4 is greater than max value 1`,
			p + `.defaultRequest[cpu]: Invalid value: "3": min value 4 is greater than default request value 3`,
			p + `.defaultRequest[cpu]: Invalid value: "3": default request value 3 is greater than max value 1`,
			p + `.defaultRequest[cpu]: Invalid value: "3": default request value 3 is greater than default limit value 2`,
			p + `.default[cpu]: Invalid value: "4": min value 4 is greater than default value 2`,
			p + `.default[cpu]: Invalid value: "1": default value 2 is greater than max value 1`,
		}},
		{"ratios", item(&corev1.LimitRangeItem{Type: "Pod", Min: amounts("cpu", "1", "memory", "1"), Max: amounts("cpu", "1500m", "memory", "1"), MaxLimitRequestRatio: amounts("cpu", "2", "memory", "500m")}), []string{
			p + `.maxLimitRequestRatio[cpu]: Invalid value: "2": ratio 2 is greater than max/min = 1.500000`,
			p + `.maxLimitRequestRatio[memory]: Invalid value: "500m": ratio 500m is less than 1`,
		}},
		{"no overcommitment", item(&corev1.LimitRangeItem{Type: "Container", Default: amounts("a.b/gpu", "2"), DefaultRequest: amounts("a.b/gpu", "1")}),
			[]string{p + `.defaultRequest[a.b/gpu]: Invalid value: "1": default value 2 must equal to defaultRequest value 1 in a.b/gpu`}},
	})
}

func TestLimitRangeDefaults(t *testing.T) {
	r := &corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{
		{Type: "Container", Max: amounts("cpu", "2"), Min: amounts("cpu", "1", "memory", "1Gi"), Default: amounts("memory", "2Gi")}, {Type: "Pod", Max: amounts("cpu", "2")},
	}}}
	LimitRange.Default(r)
	want := []corev1.LimitRangeItem{
		{Type: "Container", Max: amounts("cpu", "2"), Min: amounts("cpu", "1", "memory", "1Gi"), Default: amounts("cpu", "2", "memory", "2Gi"), DefaultRequest: amounts("cpu", "2", "memory", "2Gi")},
		{Type: "Pod", Max: amounts("cpu", "2")},
	}
	if diff := cmp.Diff(want, r.Spec.Limits); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestResourceQuotaErrors(t *testing.T) {
	type quota = corev1.ResourceQuota
	base := func() *quota {
		return &quota{Spec: corev1.ResourceQuotaSpec{Hard: amounts("pods", "3", "count/deployments.apps", "2", "requests.example.com/gpu", "1", "hugepages-2Mi", "4Mi")}}
	}
	scopes := func(list ...corev1.ResourceQuotaScope) func(*quota) {
		return func(q *quota) { q.Spec.Hard, q.Spec.Scopes = amounts("pods", "3", "cpu", "1"), list }
	}
	selector := func(list ...corev1.ScopedResourceSelectorRequirement) func(*quota) {
		return func(q *quota) {
			q.Spec.Hard, q.Spec.ScopeSelector = amounts("services", "1"), &corev1.ScopeSelector{MatchExpressions: list}
		}
	}
	const e = "spec.scopeSelector.matchExpressions"
	runValidate(t, ResourceQuota, base, []errorCase[*quota]{
		{name: "valid"},
		{"amounts", func(q *quota) {
			q.Spec.Hard = amounts("pods", "1500m", "storage", "1", "x", "-1")
			q.Status = corev1.ResourceQuotaStatus{Hard: amounts("a_", "1"), Used: amounts("cpu", "-1")}
		}, []string{
			`spec.hard[pods]: Invalid value: "1500m": must be an integer`,
			`spec.hard[storage]: Invalid value: "storage": must be a standard resource for quota`,
			`spec.hard[x]: Invalid value: "x": must be a standard resource type or fully qualified`,
			`spec.hard[x]: Invalid value: "x": must be a standard resource for quota`,
			`spec.hard[x]: Invalid value: "-1": must be greater than or equal to 0`,
			"status.hard[a_]: Invalid value: \"a_\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
			`status.hard[a_]: Invalid value: "a_": must be a standard resource for quota`,
			`status.used[cpu]: Invalid value: "-1": must be greater than or equal to 0`,
		}},
		{"a scope", scopes("x"), []string{`spec.scopes: Invalid value: ["x"]: unsupported scope`}},
		{"scopes", scopes("BestEffort", "NotBestEffort"), []string{
			`spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: unsupported scope applied to resource`,
			`spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes`,
		}},
		{"selectors", selector(corev1.ScopedResourceSelectorRequirement{ScopeName: "x", Operator: "y"}, corev1.ScopedResourceSelectorRequirement{ScopeName: "Terminating", Operator: "In"},
			corev1.ScopedResourceSelectorRequirement{ScopeName: "y", Operator: "Exists", Values: []string{"a"}}), []string{
			e + `.scopeName: Invalid value: "x": unsupported scope`,
			e + `.operator: Invalid value: "y": not a valid selector operator`,
			e + `: Invalid value: {"MatchExpressions":[{"ScopeName":"x","Operator":"y","Values":null},{"ScopeName":"Terminating","Operator":"In","Values":null},{"ScopeName":"y","Operator":"Exists","Values":["a"]}]}: unsupported scope applied to resource`,
			e + ".operator: Invalid value: \"In\": must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
			e + ".values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
			e + `.scopeName: Invalid value: "y": unsupported scope`,
			e + ".values: Invalid value: [\"a\"]: must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
		}},
	})
	runValidateUpdate(t, ResourceQuota, func() *quota { q := base(); scopes("Terminating", "BestEffort")(q); q.Spec.Hard = nil; return q }, []errorCase[*quota]{
		{"amounts and order", func(q *quota) {
			q.Spec.Hard, q.Spec.Scopes = amounts("pods", "1"), []corev1.ResourceQuotaScope{"BestEffort", "Terminating"}
		}, nil},
		{"scopes", func(q *quota) { q.Spec.Scopes = nil }, []string{"spec.scopes: Invalid value: null: field is immutable"}},
	})
}

func TestResourceQuota(t *testing.T) {
	now := metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q", CreationTimestamp: now}}
	q.Spec.Hard = amounts("cpu", "2", "limits.cpu", "1", "requests.memory", "1Gi", "limits.memory", "2Gi")
	want := []string{"ResourceQuota cpu (2) should be less than limits.cpu (1)"}
	if diff := cmp.Diff(want, ResourceQuota.Warnings(q, nil)); diff != "" || ResourceQuota.Warnings(q, q) != nil {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	q.Status = corev1.ResourceQuotaStatus{Hard: amounts("pods", "3", "cpu", "2", "limits.cpu", "4"), Used: amounts("cpu", "500m")}
	if diff := cmp.Diff([]any{"q", "cpu: 500m/2, pods: 0/3", "limits.cpu: 0/4", "0s"}, ResourceQuota.Row(q, now)); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	status, created := q.DeepCopy(), q.DeepCopy()
	status.Spec.Hard, status.Status.Used = nil, amounts("pods", "1")
	ResourceQuota.Subresource("status").Prepare(status, q)
	if ResourceQuota.PrepareCreate(created); len(status.Spec.Hard) != 4 || len(status.Status.Used) != 1 || created.Status.Hard != nil {
		t.Errorf("after a write of the status %+v, after create %+v", status, created)
	}
}
