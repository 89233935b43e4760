package scheduling

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema/internal/checktest"
)

type class = schedulingv1.PriorityClass

func TestErrors(t *testing.T) {
	base := func() *class { return &class{ObjectMeta: metav1.ObjectMeta{Name: "high"}, Value: 1_000_000_000} }
	odd, none := corev1.PreemptionPolicy("x"), corev1.PreemptionPolicy("")
	const reserved = "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: "
	checktest.Create(t, PriorityClass, base, []checktest.Case[*class]{
		{Name: "good"},
		{Name: "too high", In: func(c *class) { c.Value++ }, Want: []string{"value: Forbidden: maximum allowed value of a user defined priority is 1000000000"}},
		{Name: "policy", In: func(c *class) { c.PreemptionPolicy = &odd },
			Want: []string{`preemptionPolicy: Unsupported value: "x": supported values: "PreemptLowerPriority", "Never"`}},
		{Name: "no policy", In: func(c *class) { c.PreemptionPolicy = &none }, Want: []string{"preemptionPolicy: Required value"}},
		{Name: "reserved name", In: func(c *class) { c.Name = "system-x" }, Want: []string{reserved + "system-x is not a known system priority class"}},
		{Name: "system's with another value", In: func(c *class) { c.Name = "system-node-critical" },
			Want: []string{reserved + "value of system-node-critical PriorityClass must be 2000001000"}},
		{Name: "system's as default", In: func(c *class) { *c = *SystemClasses()[1]; c.GlobalDefault = true },
			Want: []string{reserved + "globalDefault of system-cluster-critical PriorityClass must be false"}},
		{Name: "system's", In: func(c *class) { *c = *SystemClasses()[0] }},
	})
	never := corev1.PreemptNever
	checktest.Update(t, PriorityClass, base, []checktest.Case[*class]{
		{Name: "default", In: func(c *class) { c.GlobalDefault = true }},
		{Name: "what is immutable", In: func(c *class) { c.Value, c.PreemptionPolicy = 1, &never },
			Want: []string{"value: Forbidden: may not be changed in an update.", `preemptionPolicy: Invalid value: "Never": field is immutable`}},
	})
}

func TestRow(t *testing.T) {
	now := metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	c := &class{ObjectMeta: metav1.ObjectMeta{Name: "high", CreationTimestamp: now}, Value: 7, GlobalDefault: true}
	PriorityClass.Default(c)
	PriorityClass.PrepareCreate(c)
	if diff := cmp.Diff([]any{"high", int64(7), true, "0s", "PreemptLowerPriority"}, PriorityClass.Row(c, now)); diff != "" || c.Generation != 1 {
		t.Errorf("generation %d (-want +got):\n%s", c.Generation, diff)
	}
}
