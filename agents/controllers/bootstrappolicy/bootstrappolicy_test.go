package bootstrappolicy_test

import (
	"fmt"
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/rbac"
	"gantry/schema/rbac/bootstrappolicy"
)

var kinds = []*schema.Kind{rbac.ClusterRole, rbac.ClusterRoleBinding, rbac.Role, rbac.RoleBinding}

// missing is the first object of the policy that there is not; "": all are there.
func missing(c *controllertest.Cluster) string {
	there := func(k *schema.Kind, obj schema.Object) bool {
		_, err := c.Registry.Get(c.Context, k, obj.GetNamespace(), obj.GetName(), "0")
		return err == nil
	}
	for _, r := range bootstrappolicy.ClusterRoles() {
		if !there(rbac.ClusterRole, r) {
			return r.Name
		}
	}
	for _, b := range bootstrappolicy.ClusterRoleBindings() {
		if !there(rbac.ClusterRoleBinding, b) {
			return b.Name
		}
	}
	for _, r := range bootstrappolicy.Roles() {
		if !there(rbac.Role, r) {
			return r.Namespace + "/" + r.Name
		}
	}
	for _, b := range bootstrappolicy.RoleBindings() {
		if !there(rbac.RoleBinding, b) {
			return b.Namespace + "/" + b.Name
		}
	}
	return ""
}

// TestPolicyIsPutRight changes the policy as an administrator might, by the API and past it, and checks what the next start makes of it.
func TestPolicyIsPutRight(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Until(func() string { return missing(c) }, kinds...)
	admin := registry.For[*rbacv1.ClusterRole](c.Registry)
	c.Until(func() string { // the role is made of others
		r, err := admin.Cached(c.Context, "", "admin")
		if err != nil || len(r.Rules) == 0 {
			return "the rules of admin"
		}
		return ""
	}, kinds...)

	roles, bindings := registry.For[*rbacv1.ClusterRole](c.Registry), registry.For[*rbacv1.ClusterRoleBinding](c.Registry)
	extra := rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{"example.com"}, Resources: []string{"webs"}}
	changeRole := func(name string, change func(r *rbacv1.ClusterRole)) {
		t.Helper()
		if _, err := roles.Modify(c.Context, "", name, func(r *rbacv1.ClusterRole) error { change(r); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	changeRole("system:discovery", func(r *rbacv1.ClusterRole) { r.Rules, r.Labels = []rbacv1.PolicyRule{extra}, nil })
	changeRole("system:basic-user", func(r *rbacv1.ClusterRole) {
		r.Rules, r.Annotations = nil, map[string]string{rbacv1.AutoUpdateAnnotationKey: "false"}
	})
	changeRole("view", func(r *rbacv1.ClusterRole) { r.AggregationRule = nil })
	tom := rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "User", Name: "tom"}
	if _, err := bindings.Modify(c.Context, "", "system:discovery", func(b *rbacv1.ClusterRoleBinding) error {
		b.Subjects = []rbacv1.Subject{tom}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"system:basic-user", "cluster-admin"} {
		if err := bindings.Delete(c.Context, "", name, registry.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	other := &rbacv1.ClusterRoleBinding{RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"}}
	other.Name = "cluster-admin"
	if _, err := bindings.Create(c.Context, other); err != nil {
		t.Fatal(err)
	}

	c.Restart()
	c.Until(func() string {
		if name := missing(c); name != "" {
			return name
		}
		r, err := roles.Cached(c.Context, "", "system:discovery")
		if err != nil || len(r.Rules) < 2 || r.Labels["kubernetes.io/bootstrapping"] == "" || !slices.Equal(r.Rules[0].Resources, extra.Resources) {
			return fmt.Sprintf("the rules of system:discovery, beside the one that was added: %v", r)
		}
		if r, err := roles.Cached(c.Context, "", "view"); err != nil || r.AggregationRule == nil {
			return "what view is made of"
		}
		b, err := bindings.Cached(c.Context, "", "system:discovery")
		if err != nil || len(b.Subjects) != 2 || b.Subjects[0] != tom || b.Subjects[1].Name != "system:authenticated" {
			return "the subject that was removed, beside the one that was added"
		}
		if b, err := bindings.Cached(c.Context, "", "cluster-admin"); err != nil || b.RoleRef.Name != "cluster-admin" || len(b.Subjects) != 1 {
			return "the binding of another role made anew"
		}
		return ""
	}, kinds...)
	if r, err := roles.Cached(c.Context, "", "system:basic-user"); err != nil || len(r.Rules) > 0 {
		t.Errorf("a role that is not to be updated was: %v, %v", r, err)
	}
}
