package policy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gantry/schema"
	"gantry/schema/internal/checktest"
)

func ptr[T any](v T) *T { return &v }

func budget(spec policyv1.PodDisruptionBudgetSpec) *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default"}, Spec: spec}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   policyv1.PodDisruptionBudgetSpec
		want []string
	}{
		{"nothing", policyv1.PodDisruptionBudgetSpec{}, nil},
		{"both", policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr(intstr.FromInt32(1)), MaxUnavailable: ptr(intstr.FromString("101%"))}, []string{
			`spec: Invalid value: {"MinAvailable":1,"Selector":null,"MaxUnavailable":"101%","UnhealthyPodEvictionPolicy":null}: minAvailable and maxUnavailable cannot be both set`,
			`spec.maxUnavailable: Invalid value: "101%": must not be greater than 100%`,
		}},
		{"amount", policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr(intstr.FromInt32(-1))}, []string{"spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"}},
		{"selector", policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "In"}}}},
			[]string{"spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"}},
		{"policy", policyv1.PodDisruptionBudgetSpec{UnhealthyPodEvictionPolicy: ptr(policyv1.UnhealthyPodEvictionPolicyType("x"))},
			[]string{`spec.unhealthyPodEvictionPolicy: Unsupported value: "x": supported values: "AlwaysAllow", "IfHealthyBudget"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, checktest.Texts(PodDisruptionBudget.Validate(budget(tt.in)))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	bad := budget(policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}, MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "In", Values: []string{"_x_"}}}}})
	if got := PodDisruptionBudget.ValidateUpdate(bad, bad); len(got) > 0 {
		t.Errorf("an update that leaves a bad value: %v", got)
	}
	if got := PodDisruptionBudget.ValidateUpdate(bad, budget(policyv1.PodDisruptionBudgetSpec{})); len(got) == 0 {
		t.Error("an update may add a bad value")
	}
}

func TestFinalizersNeedNoDomain(t *testing.T) {
	b := budget(policyv1.PodDisruptionBudgetSpec{})
	b.Finalizers, b.ResourceVersion = []string{"x"}, "1"
	if got := schema.ValidateMeta(PodDisruptionBudget, b); len(got) > 0 {
		t.Errorf("created: %v", got)
	}
	if got := schema.ValidateMetaUpdate(PodDisruptionBudget, b, b, schema.MetaOfBoth); len(got) > 0 {
		t.Errorf("updated: %v", got)
	}
}

func TestStatus(t *testing.T) {
	b := budget(policyv1.PodDisruptionBudgetSpec{})
	b.Status = policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: -1, CurrentHealthy: -2, DesiredHealthy: -3, ExpectedPods: -4}
	const notNegative = "must be greater than or equal to 0"
	want := []string{
		"status.disruptionsAllowed: Invalid value: -1: " + notNegative, "status.currentHealthy: Invalid value: -2: " + notNegative,
		"status.desiredHealthy: Invalid value: -3: " + notNegative, "status.expectedPods: Invalid value: -4: " + notNegative,
	}
	if diff := cmp.Diff(want, checktest.Texts(PodDisruptionBudget.Subresource("status").Validate(b, b))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	old := budget(policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr(intstr.FromInt32(1))})
	old.Generation = 3
	if PodDisruptionBudget.Subresource("status").Prepare(b, old); b.Spec.MinAvailable == nil || b.Status.ExpectedPods != -4 {
		t.Errorf("prepared %+v", b)
	}
	b.Spec.MinAvailable = nil
	if PodDisruptionBudget.PrepareUpdate(b, old); b.Generation != 4 || b.Status.ExpectedPods != 0 {
		t.Errorf("updated %+v", b)
	}
}

// TestOldSelectors checks that the label of v1beta1 is removed, except where it makes the selector match no pods.
func TestOldSelectors(t *testing.T) {
	none := metav1.LabelSelectorRequirement{Key: emptySelectorLabel, Operator: metav1.LabelSelectorOpExists}
	all := metav1.LabelSelectorRequirement{Key: emptySelectorLabel, Operator: metav1.LabelSelectorOpDoesNotExist}
	other := metav1.LabelSelectorRequirement{Key: "a", Operator: metav1.LabelSelectorOpExists}
	for _, tt := range []struct {
		in   []metav1.LabelSelectorRequirement
		want int
	}{{nil, 0}, {[]metav1.LabelSelectorRequirement{none}, 1}, {[]metav1.LabelSelectorRequirement{all}, 0}, {[]metav1.LabelSelectorRequirement{other, none}, 1}} {
		b := budget(policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchExpressions: tt.in}})
		PodDisruptionBudget.Default(b)
		if got := b.Spec.Selector.MatchExpressions; len(got) != tt.want {
			t.Errorf("%v became %v", tt.in, got)
		}
	}
}

func TestRow(t *testing.T) {
	now := metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	b := budget(policyv1.PodDisruptionBudgetSpec{MaxUnavailable: ptr(intstr.FromString("10%"))})
	b.Status.DisruptionsAllowed, b.CreationTimestamp = 2, metav1.NewTime(now.Add(-time.Minute))
	if diff := cmp.Diff([]any{"web", "N/A", "10%", int64(2), "60s"}, PodDisruptionBudget.Row(b, now)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
