// Package rbac has the kinds of rbac.authorization.k8s.io: roles, and who has them.
package rbac

import (
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// Role is the kind of roles in a namespace.
var Role = &schema.Kind{
	Version: schema.Version{
		Group: rbacv1.GroupName, Version: "v1", Kind: "Role",
		New:     func() schema.Object { return &rbacv1.Role{} },
		NewList: func() runtime.Object { return &rbacv1.RoleList{} },
		Default: schema.Preparation(func(r *rbacv1.Role) { dropEmpty(&r.Rules) }),
	},
	Plural: "roles", Singular: "role",
	UpdateMeta: schema.MetaOfCreateFirst,
	Namespaced: true,
	Prefix:     "roles",

	UnconditionalUpdate: true,
	CreateOnUpdate:      true,

	Validate:       schema.Validation(validateRole),
	ValidateUpdate: schema.UpdateValidation(validateRoleUpdate),
}

// ClusterRole is the kind of roles of the cluster.
var ClusterRole = &schema.Kind{
	Version: schema.Version{
		Group: rbacv1.GroupName, Version: "v1", Kind: "ClusterRole",
		New:     func() schema.Object { return &rbacv1.ClusterRole{} },
		NewList: func() runtime.Object { return &rbacv1.ClusterRoleList{} },
		Default: schema.Preparation(func(r *rbacv1.ClusterRole) { dropEmpty(&r.Rules) }),
	},
	Plural: "clusterroles", Singular: "clusterrole",
	UpdateMeta: schema.MetaOfCreateFirst,
	Prefix:     "clusterroles",

	UnconditionalUpdate: true,
	CreateOnUpdate:      true,

	Validate:       schema.Validation(validateClusterRole),
	ValidateUpdate: schema.UpdateValidation(validateClusterRoleUpdate),
}

// dropEmpty makes an empty list null, which is how Kubernetes shows it.
func dropEmpty(rules *[]rbacv1.PolicyRule) {
	if len(*rules) == 0 {
		*rules = nil
	}
}
