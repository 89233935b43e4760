package bootstrappolicy

import (
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// clusterRole is a row of the table of cluster roles.
type clusterRole struct {
	name   string
	madeOf string // it has the rules of all roles that are part of this one
	partOf string // the role that its rules are part of
	rules  []rbacv1.PolicyRule
}

// controllerRole is a row of the table of the roles of controllers, by the controller's name.
type controllerRole struct {
	name  string
	rules []rbacv1.PolicyRule
}

// clusterRoleBinding is a row of the table of bindings of the cluster.
type clusterRoleBinding struct {
	name     string // and the role's
	subjects []rbacv1.Subject
}

// role is a row of the table of roles in namespaces.
type role struct {
	namespace, name string
	rules           []rbacv1.PolicyRule
}

// roleBinding is a row of the table of bindings in namespaces.
type roleBinding struct {
	namespace, name, role string
	subjects              []rbacv1.Subject
}

const (
	controllerPrefix = "system:controller:"
	aggregatePrefix  = "rbac.authorization.k8s.io/aggregate-to-"
)

// ClusterRoles are the cluster roles, made anew.
func ClusterRoles() (all []*rbacv1.ClusterRole) {
	for _, rows := range [][]clusterRole{clusterRoles, ownRoles} {
		for _, row := range rows {
			r := &rbacv1.ClusterRole{ObjectMeta: meta("", row.name), Rules: copyRules(row.rules)}
			if row.partOf != "" {
				r.Labels[aggregatePrefix+row.partOf] = "true"
			}
			if row.madeOf != "" {
				r.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{aggregatePrefix + row.madeOf: "true"}}}}
			}
			all = append(all, r)
		}
	}
	for _, row := range controllerRoles {
		all = append(all, &rbacv1.ClusterRole{ObjectMeta: meta("", controllerPrefix+row.name), Rules: copyRules(row.rules)})
	}
	return all
}

// ClusterRoleBindings are the bindings of the cluster, made anew.
func ClusterRoleBindings() (all []*rbacv1.ClusterRoleBinding) {
	add := func(name string, subjects ...rbacv1.Subject) {
		all = append(all, &rbacv1.ClusterRoleBinding{ObjectMeta: meta("", name), RoleRef: refTo("ClusterRole", name), Subjects: subjects})
	}
	for _, rows := range [][]clusterRoleBinding{clusterRoleBindings, ownBindings} {
		for _, row := range rows {
			add(row.name, append([]rbacv1.Subject(nil), row.subjects...)...)
		}
	}
	for _, row := range controllerRoles {
		add(controllerPrefix+row.name, account("kube-system", row.name))
	}
	return all
}

// Roles are the roles in namespaces, made anew.
func Roles() (all []*rbacv1.Role) {
	for _, row := range roles {
		all = append(all, &rbacv1.Role{ObjectMeta: meta(row.namespace, row.name), Rules: copyRules(row.rules)})
	}
	return all
}

// RoleBindings are the bindings in namespaces, made anew.
func RoleBindings() (all []*rbacv1.RoleBinding) {
	for _, row := range roleBindings {
		all = append(all, &rbacv1.RoleBinding{
			ObjectMeta: meta(row.namespace, row.name), RoleRef: refTo("Role", row.role), Subjects: append([]rbacv1.Subject(nil), row.subjects...),
		})
	}
	return all
}

func meta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: namespace, Name: name,
		Labels:      map[string]string{"kubernetes.io/bootstrapping": "rbac-defaults"},
		Annotations: map[string]string{rbacv1.AutoUpdateAnnotationKey: "true"},
	}
}

func refTo(kind, name string) rbacv1.RoleRef {
	return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}
}

func copyRules(rules []rbacv1.PolicyRule) (all []rbacv1.PolicyRule) {
	for _, r := range rules {
		all = append(all, *r.DeepCopy())
	}
	return all
}
