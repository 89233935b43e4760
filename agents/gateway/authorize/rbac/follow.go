package rbac

import (
	"context"
	"unique"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"gantry/agents/gateway/authorize"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/rbac"
)

// Run keeps the index until ctx is done.
func (z *Authorizer) Run(ctx context.Context) error {
	_ = z.reg.FollowApplied(ctx, map[*schema.Kind]func(registry.Change){
		rbac.Role: z.role, rbac.ClusterRole: z.role,
		rbac.RoleBinding: z.binding, rbac.ClusterRoleBinding: z.binding,
	}, z.markFilled) // its only error is ctx's
	return nil
}

// role applies the change of a Role or a ClusterRole.
func (z *Authorizer) role(c registry.Change) {
	if c.New == nil {
		z.index.setRole(keyOf(c.Old), nil)
		return
	}
	obj, ok := z.valid(c.New)
	if !ok {
		z.index.setRole(keyOf(c.New), nil)
		return
	}
	z.index.setRole(keyOf(c.New), compile(rulesOf(obj)))
}

// binding applies the change of a RoleBinding or a ClusterRoleBinding.
func (z *Authorizer) binding(c registry.Change) {
	if c.New == nil {
		z.index.setBinding(keyOf(c.Old), nil)
		return
	}
	obj, ok := z.valid(c.New)
	if !ok {
		z.index.setBinding(keyOf(c.New), nil)
		return
	}
	ref, subjects := bindingOf(obj)
	b := &binding{key: keyOf(c.New), role: roleKey(ref, c.New.Namespace)}
	for _, s := range subjects {
		b.subjects = append(b.subjects, rbacv1.Subject{Kind: intern(s.Kind), Namespace: intern(s.Namespace), Name: intern(s.Name)})
	}
	z.index.setBinding(b.key, b)
}

// valid returns the object of an item; ok is false where validation refuses it, as only one written past the API can be.
func (z *Authorizer) valid(it *registry.Item) (obj schema.Object, ok bool) {
	obj = it.Object()
	if errs := it.Kind.Validate(obj); len(errs) > 0 {
		z.log.Warn("invalid permissions skipped", "kind", it.Kind.Kind, "ns", it.Namespace, "name", it.Name, "rv", it.Revision, "err", errs.ToAggregate())
		return nil, false
	}
	return obj, true
}

func keyOf(it *registry.Item) key { return key{it.Namespace, it.Name} }

// roleKey is the role that a binding in a namespace refers to.
func roleKey(ref rbacv1.RoleRef, namespace string) key {
	if ref.Kind == rbac.ClusterRole.Kind {
		namespace = ""
	}
	return key{intern(namespace), intern(ref.Name)}
}

func rulesOf(obj schema.Object) []rbacv1.PolicyRule {
	switch o := obj.(type) {
	case *rbacv1.Role:
		return o.Rules
	case *rbacv1.ClusterRole:
		return o.Rules
	}
	return nil
}

func bindingOf(obj schema.Object) (rbacv1.RoleRef, []rbacv1.Subject) {
	switch o := obj.(type) {
	case *rbacv1.RoleBinding:
		return o.RoleRef, o.Subjects
	case *rbacv1.ClusterRoleBinding:
		return o.RoleRef, o.Subjects
	}
	return rbacv1.RoleRef{}, nil
}

// compile makes rules in the form in which they are decided on and listed.
func compile(rules []rbacv1.PolicyRule) *authorize.Rules {
	c := &authorize.Rules{}
	for _, r := range rules {
		if len(r.Resources) > 0 {
			c.Resources = append(c.Resources, authorizationv1.ResourceRule{
				Verbs: internAll(r.Verbs), APIGroups: internAll(r.APIGroups), Resources: internAll(r.Resources), ResourceNames: internAll(r.ResourceNames),
			})
		}
		if len(r.NonResourceURLs) > 0 {
			c.Paths = append(c.Paths, authorizationv1.NonResourceRule{Verbs: internAll(r.Verbs), NonResourceURLs: internAll(r.NonResourceURLs)})
		}
	}
	return c
}

// intern returns a string that does not keep the JSON alive which s is a part of, and that equal ones share.
func intern(s string) string { return unique.Make(s).Value() }

func internAll(list []string) []string {
	if list == nil {
		return nil
	}
	all := make([]string, len(list))
	for i, s := range list {
		all[i] = intern(s)
	}
	return all
}
