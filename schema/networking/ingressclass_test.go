package networking

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema/internal/checktest"
)

func newClass() *networkingv1.IngressClass {
	return &networkingv1.IngressClass{
		ObjectMeta: metav1.ObjectMeta{Name: "nginx", CreationTimestamp: now},
		Spec: networkingv1.IngressClassSpec{Controller: "example.com/nginx", Parameters: &networkingv1.IngressClassParametersReference{
			APIGroup: ptr("example.com"), Kind: "Params", Name: "p",
		}},
	}
}

func TestIngressClassErrors(t *testing.T) {
	type class = networkingv1.IngressClass
	checktest.Create(t, IngressClass, newClass, []checktest.Case[*class]{
		{Name: "valid"},
		{"no controller", func(c *class) { c.Spec.Controller = "" }, []string{"spec.controller: Required value"}},
		{"controller", func(c *class) { c.Spec.Controller = "nginx" }, []string{`spec.controller: Invalid value: "nginx": must be a domain-prefixed path (such as "acme.io/foo")`}},
		{"controller's length", func(c *class) { c.Spec.Controller = "a/" + strings.Repeat("x", 250) }, []string{"spec.controller: Too long: may not be more than 250 bytes"}},
		{"parameters", func(c *class) {
			*c.Spec.Parameters = networkingv1.IngressClassParametersReference{Kind: "a%", Scope: ptr("x")}
		}, []string{
			`spec.parameters.kind: Invalid value: "a%": may not contain '%'`,
			"spec.parameters.name: Required value",
			`spec.parameters.scope: Unsupported value: "x": supported values: "Cluster", "Namespace"`,
		}},
		{"of the cluster", func(c *class) { c.Spec.Parameters.Namespace = ptr("a") }, []string{"spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"}},
		{"of no namespace", func(c *class) { c.Spec.Parameters.Scope = ptr("Namespace") }, []string{"spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"}},
		{"of a namespace", func(c *class) { c.Spec.Parameters.Scope, c.Spec.Parameters.Namespace = ptr("Namespace"), ptr("A") },
			[]string{`spec.parameters.namespace: Invalid value: "A": ` + labelRule}},
	})
	checktest.Update(t, IngressClass, newClass, []checktest.Case[*class]{
		{"parameters may change", func(c *class) { c.Spec.Parameters = nil }, nil},
		{"controller", func(c *class) { c.Spec.Controller = "a/b" }, []string{`spec.controller: Invalid value: "a/b": field is immutable`}},
	})
}

func TestIngressClass(t *testing.T) {
	c := newClass()
	IngressClass.Default(c)
	IngressClass.PrepareCreate(c)
	changed := c.DeepCopy()
	changed.Spec.Parameters.Name = "q"
	if IngressClass.PrepareUpdate(changed, c); *c.Spec.Parameters.Scope != "Cluster" || c.Generation != 1 || changed.Generation != 2 {
		t.Errorf("scope %s, generations %d and %d", *c.Spec.Parameters.Scope, c.Generation, changed.Generation)
	}
	c.Annotations = map[string]string{networkingv1.AnnotationIsDefaultIngressClass: "true"}
	if diff := cmp.Diff([]any{"nginx (default)", "example.com/nginx", "Params.example.com/p", "0s"}, IngressClass.Row(c, now)); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{"", "", "<none>", "<unknown>"}, IngressClass.Row(&networkingv1.IngressClass{}, now)); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
}
