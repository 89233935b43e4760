package node

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema/internal/checktest"
)

type class = nodev1.RuntimeClass

func TestErrors(t *testing.T) {
	base := func() *class { return &class{Handler: "runsc"} }
	long := int64(5)
	checktest.Create(t, RuntimeClass, base, []checktest.Case[*class]{
		{Name: "good"},
		{Name: "no handler", In: func(c *class) { c.Handler = "" }, Want: []string{"handler: Required value"}},
		{Name: "handler", In: func(c *class) { c.Handler = "A" },
			Want: []string{`handler: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`}},
		{Name: "overhead", In: func(c *class) {
			c.Overhead = &nodev1.Overhead{PodFixed: corev1.ResourceList{"cpu": resource.MustParse("-1"), "x": resource.MustParse("1")}}
		}, Want: []string{
			`overhead.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0`,
			`overhead.limits[x]: Invalid value: "x": must be a standard resource type or fully qualified`,
			`overhead.limits[x]: Invalid value: "x": must be a standard resource for containers`,
		}},
		{Name: "scheduling", In: func(c *class) {
			c.Scheduling = &nodev1.Scheduling{NodeSelector: map[string]string{"a": "-"}, Tolerations: []corev1.Toleration{
				{Key: "a", Effect: "NoExecute"}, {Key: "a", Effect: "NoExecute", TolerationSeconds: &long}, {},
			}}
		}, Want: []string{
			`scheduling.nodeSelector: Invalid value: "-": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`,
			"scheduling.tolerations[2].operator: Invalid value: \"\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
			`scheduling.tolerations[1]: Duplicate value: {"Key":"a","Operator":"","Value":"","Effect":"NoExecute","TolerationSeconds":5}`,
		}},
	})
	checktest.Update(t, RuntimeClass, base, []checktest.Case[*class]{
		{Name: "handler", In: func(c *class) { c.Handler = "x" }, Want: []string{`handler: Invalid value: "x": field is immutable`}},
	})
}

func TestWarningsAndRow(t *testing.T) {
	now := metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	c := &class{ObjectMeta: metav1.ObjectMeta{Name: "gvisor", CreationTimestamp: now}, Handler: "runsc",
		Scheduling: &nodev1.Scheduling{NodeSelector: map[string]string{"beta.kubernetes.io/os": "linux", "x": "y"}}}
	if diff := cmp.Diff([]string{`scheduling.nodeSelector: deprecated since v1.14; use "kubernetes.io/os" instead`}, RuntimeClass.Warnings(c, nil)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{"gvisor", "runsc", "0s"}, RuntimeClass.Row(c, now)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
