package gatewaytest

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"

	"gantry/registry"
	"gantry/schema"
	"gantry/schema/rbac"
	"gantry/schema/rbac/bootstrappolicy"
)

// everybodys are the roles that every user, every authenticated one, or every service account has.
var everybodys = []string{"system:basic-user", "system:discovery", "system:public-info-viewer", "system:service-account-issuer-discovery"}

// everybodysRoles creates the roles and the bindings of everybody, where the kinds are served.
func (c *Cluster) everybodysRoles() {
	c.T.Helper()
	if !c.Registry.Kinds().Set().Has(rbac.ClusterRole) {
		return
	}
	c.BootstrapRoles(everybodys...)
	for _, b := range bootstrappolicy.ClusterRoleBindings() {
		if slices.Contains(everybodys, b.Name) {
			c.Create(rbac.ClusterRoleBinding, b)
		}
	}
}

// BootstrapRoles creates cluster roles that every cluster has.
func (c *Cluster) BootstrapRoles(names ...string) {
	c.T.Helper()
	for _, r := range bootstrappolicy.ClusterRoles() {
		if slices.Contains(names, r.Name) {
			c.Create(rbac.ClusterRole, r)
		}
	}
}

// Create stores an object, past the gateway.
func (c *Cluster) Create(k *schema.Kind, obj schema.Object) {
	c.T.Helper()
	if _, err := c.Registry.Create(c.T.Context(), k, obj, registry.WriteOptions{}); err != nil {
		c.T.Fatal(err)
	}
}

// Grant binds a role with rules to a user, in a namespace or ("") in the cluster.
func (c *Cluster) Grant(namespace, name, user string, rules ...rbacv1.PolicyRule) {
	c.T.Helper()
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: user}}
	if namespace == "" {
		role := &rbacv1.ClusterRole{Rules: rules}
		role.Name = name
		c.Create(rbac.ClusterRole, role)
		b := &rbacv1.ClusterRoleBinding{RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: name}, Subjects: subjects}
		b.Name = name
		c.Create(rbac.ClusterRoleBinding, b)
		return
	}
	role := &rbacv1.Role{Rules: rules}
	role.Name, role.Namespace = name, namespace
	c.Create(rbac.Role, role)
	b := &rbacv1.RoleBinding{RoleRef: rbacv1.RoleRef{Kind: "Role", Name: name}, Subjects: subjects}
	b.Name, b.Namespace = name, namespace
	c.Create(rbac.RoleBinding, b)
}
