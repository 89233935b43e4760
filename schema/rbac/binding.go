package rbac

import (
	"cmp"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// RoleBinding is the kind of role bindings in a namespace.
var RoleBinding = &schema.Kind{
	Version: schema.Version{
		Group: rbacv1.GroupName, Version: "v1", Kind: "RoleBinding",
		New:     func() schema.Object { return &rbacv1.RoleBinding{} },
		NewList: func() runtime.Object { return &rbacv1.RoleBindingList{} },
		Columns: bindingColumns("roleBinding", "RoleRef can reference a Role in the current namespace or a ClusterRole in the global namespace."+unresolved), Row: roleBindingRow,
		Default: schema.Preparation(func(b *rbacv1.RoleBinding) { defaultBinding(&b.RoleRef, b.Subjects) }),
	},
	Plural: "rolebindings", Singular: "rolebinding",
	UpdateMeta: schema.MetaOfCreateFirst,
	Namespaced: true,
	Prefix:     "rolebindings",

	UnconditionalUpdate: true,
	CreateOnUpdate:      true,

	Validate:       schema.Validation(validateRoleBinding),
	ValidateUpdate: schema.UpdateValidation(validateRoleBindingUpdate),
}

// ClusterRoleBinding is the kind of role bindings of the cluster.
var ClusterRoleBinding = &schema.Kind{
	Version: schema.Version{
		Group: rbacv1.GroupName, Version: "v1", Kind: "ClusterRoleBinding",
		New:     func() schema.Object { return &rbacv1.ClusterRoleBinding{} },
		NewList: func() runtime.Object { return &rbacv1.ClusterRoleBindingList{} },
		Columns: bindingColumns("clusterRoleBinding", "RoleRef can only reference a ClusterRole in the global namespace."+unresolved), Row: clusterRoleBindingRow,
		Default: schema.Preparation(func(b *rbacv1.ClusterRoleBinding) { defaultBinding(&b.RoleRef, b.Subjects) }),
	},
	Plural: "clusterrolebindings", Singular: "clusterrolebinding",
	UpdateMeta: schema.MetaOfCreateFirst,
	Prefix:     "clusterrolebindings",

	UnconditionalUpdate: true,
	CreateOnUpdate:      true,

	Validate:       schema.Validation(validateClusterRoleBinding),
	ValidateUpdate: schema.UpdateValidation(validateClusterRoleBindingUpdate),
}

func defaultBinding(role *rbacv1.RoleRef, subjects []rbacv1.Subject) {
	role.APIGroup = cmp.Or(role.APIGroup, rbacv1.GroupName)
	for i := range subjects {
		switch s := &subjects[i]; s.Kind {
		case rbacv1.UserKind, rbacv1.GroupKind:
			s.APIGroup = cmp.Or(s.APIGroup, rbacv1.GroupName)
		}
	}
}
