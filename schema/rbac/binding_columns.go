package rbac

import (
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

// unresolved ends the text about a role. It is that of v1beta1, as in Kubernetes.
const unresolved = " If the RoleRef cannot be resolved, the Authorizer must return an error."

func bindingColumns(what, role string) []metav1.TableColumnDefinition {
	return []metav1.TableColumnDefinition{
		schema.NameColumn(),
		schema.TextColumn("Role", role),
		schema.AgeColumn(),
		schema.WideColumn("Users", "Users in the "+what),
		schema.WideColumn("Groups", "Groups in the "+what),
		schema.WideColumn("ServiceAccounts", "ServiceAccounts in the "+what),
	}
}

func roleBindingRow(obj schema.Object, now metav1.Time) []any {
	b := obj.(*rbacv1.RoleBinding)
	return bindingRow(&b.ObjectMeta, b.RoleRef, b.Subjects, now)
}

func clusterRoleBindingRow(obj schema.Object, now metav1.Time) []any {
	b := obj.(*rbacv1.ClusterRoleBinding)
	return bindingRow(&b.ObjectMeta, b.RoleRef, b.Subjects, now)
}

func bindingRow(meta *metav1.ObjectMeta, role rbacv1.RoleRef, subjects []rbacv1.Subject, now metav1.Time) []any {
	var users, groups, accounts []string
	for _, s := range subjects {
		switch s.Kind {
		case rbacv1.UserKind:
			users = append(users, s.Name)
		case rbacv1.GroupKind:
			groups = append(groups, s.Name)
		case rbacv1.ServiceAccountKind:
			accounts = append(accounts, s.Namespace+"/"+s.Name)
		}
	}
	return []any{
		meta.Name, role.Kind + "/" + role.Name, schema.Age(meta.CreationTimestamp, now),
		strings.Join(users, ", "), strings.Join(groups, ", "), strings.Join(accounts, ", "),
	}
}
