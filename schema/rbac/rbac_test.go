package rbac

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema/internal/checktest"
)

func TestRoleErrors(t *testing.T) {
	base := func() *rbacv1.Role {
		return &rbacv1.Role{Rules: []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods"}}}}
	}
	checktest.Create(t, Role, base, []checktest.Case[*rbacv1.Role]{
		{Name: "good"},
		{Name: "empty rule", In: func(r *rbacv1.Role) { r.Rules = append(r.Rules, rbacv1.PolicyRule{}) }, Want: []string{
			"rules[1].verbs: Required value: verbs must contain at least one value",
			"rules[1].apiGroups: Required value: resource rules must supply at least one api group",
			"rules[1].resources: Required value: resource rules must supply at least one resource",
		}},
		{Name: "URLs", In: func(r *rbacv1.Role) { r.Rules[0].NonResourceURLs = []string{"/x"} }, Want: []string{
			`rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs`,
			`rules[0].nonResourceURLs: Invalid value: ["/x"]: rules cannot apply to both regular resources and non-resource URLs`,
		}},
	})
}

func TestClusterRoleErrors(t *testing.T) {
	base := func() *rbacv1.ClusterRole {
		return &rbacv1.ClusterRole{Rules: []rbacv1.PolicyRule{{Verbs: []string{"get"}, NonResourceURLs: []string{"/healthz"}}}}
	}
	const badValue = `aggregationRule.clusterRoleSelectors[0].matchLabels: Invalid value: "-": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`
	checktest.Create(t, ClusterRole, base, []checktest.Case[*rbacv1.ClusterRole]{
		{Name: "good"},
		{Name: "no selectors", In: func(r *rbacv1.ClusterRole) { r.AggregationRule = &rbacv1.AggregationRule{} },
			Want: []string{"aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil"}},
		{Name: "selectors", In: func(r *rbacv1.ClusterRole) {
			r.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "x"}}}}}
		}, Want: []string{
			`aggregationRule.clusterRoleSelectors[0].matchExpressions[0].operator: Invalid value: "x": not a valid selector operator`,
			"aggregationRule.clusterRoleSelectors[0]: Invalid value: null: invalid label selector.",
		}},
	})
	bad := func(r *rbacv1.ClusterRole) {
		r.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{"a": "-"}}}}
	}
	checktest.Update(t, ClusterRole, base, []checktest.Case[*rbacv1.ClusterRole]{
		{Name: "a bad value is new", In: bad, Want: []string{badValue, "aggregationRule.clusterRoleSelectors[0]: Invalid value: null: invalid label selector."}},
	})
}

func TestBindingErrors(t *testing.T) {
	base := func() *rbacv1.RoleBinding {
		return &rbacv1.RoleBinding{RoleRef: rbacv1.RoleRef{Kind: "Role", Name: "r"}, Subjects: []rbacv1.Subject{{Kind: "User", Name: "alice"}, {Kind: "ServiceAccount", Name: "bot"}}}
	}
	checktest.Create(t, RoleBinding, base, []checktest.Case[*rbacv1.RoleBinding]{
		{Name: "good"},
		{Name: "role", In: func(b *rbacv1.RoleBinding) { b.RoleRef = rbacv1.RoleRef{APIGroup: "x", Kind: "y"} }, Want: []string{
			`roleRef.apiGroup: Unsupported value: "x": supported values: "rbac.authorization.k8s.io"`,
			`roleRef.kind: Unsupported value: "y": supported values: "Role", "ClusterRole"`,
			"roleRef.name: Required value",
		}},
		{Name: "role's name", In: func(b *rbacv1.RoleBinding) { b.RoleRef.Name = "a/b" }, Want: []string{`roleRef.name: Invalid value: "a/b": may not contain '/'`}},
		{Name: "subjects", In: func(b *rbacv1.RoleBinding) {
			b.Subjects = []rbacv1.Subject{{Kind: "Group", APIGroup: "x", Name: "g"}, {Kind: "x"}, {Kind: "ServiceAccount", APIGroup: "x", Name: "-"}}
		}, Want: []string{
			`subjects[0].apiGroup: Unsupported value: "x": supported values: "rbac.authorization.k8s.io"`,
			"subjects[1].name: Required value",
			`subjects[1].kind: Unsupported value: "x": supported values: "ServiceAccount", "User", "Group"`,
			`subjects[2].name: Invalid value: "-": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
			`subjects[2].apiGroup: Unsupported value: "x": supported values: ""`,
		}},
	})
	checktest.Update(t, RoleBinding, base, []checktest.Case[*rbacv1.RoleBinding]{
		{Name: "subjects", In: func(b *rbacv1.RoleBinding) { b.Subjects = nil }},
		{Name: "role", In: func(b *rbacv1.RoleBinding) { b.RoleRef.Name = "s" },
			Want: []string{`roleRef: Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"Role","Name":"s"}: cannot change roleRef`}},
	})
	cluster := func() *rbacv1.ClusterRoleBinding {
		return &rbacv1.ClusterRoleBinding{RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "r"}}
	}
	checktest.Create(t, ClusterRoleBinding, cluster, []checktest.Case[*rbacv1.ClusterRoleBinding]{
		{Name: "the cluster's", In: func(b *rbacv1.ClusterRoleBinding) {
			b.RoleRef.Kind, b.Subjects = "Role", []rbacv1.Subject{{Kind: "ServiceAccount", Name: "bot"}}
		}, Want: []string{`roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"`, "subjects[0].namespace: Required value"}},
	})
}

func TestBindingRow(t *testing.T) {
	now := metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	b := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "b", CreationTimestamp: now},
		RoleRef:    rbacv1.RoleRef{Kind: "ClusterRole", Name: "r"},
		Subjects: []rbacv1.Subject{
			{Kind: "User", Name: "alice"}, {Kind: "User", Name: "bob"}, {Kind: "Group", Name: "ops"}, {Kind: "ServiceAccount", Namespace: "n", Name: "a"}, {Kind: "x"},
		},
	}
	if diff := cmp.Diff([]any{"b", "ClusterRole/r", "0s", "alice, bob", "ops", "n/a"}, ClusterRoleBinding.Row(b, now)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
