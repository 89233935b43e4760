package rbac

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/component-helpers/auth/rbac/validation"

	"gantry/agents/gateway/authorize"
	"gantry/agents/gateway/request"
	"gantry/agents/gateway/userinfo"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/rbac"
)

// Checks tells whether writes of a kind are for Check: those of roles and bindings.
func Checks(k *schema.Kind) bool {
	return k == rbac.Role || k == rbac.ClusterRole || k == rbac.RoleBinding || k == rbac.ClusterRoleBinding
}

// Check refuses, as Forbidden, a role or a binding by which its writer would grant what it does not have itself, unless it may escalate the role
// or bind the one that is bound; old is nil for a new object. authz decides on that:
// https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping.
func (z *Authorizer) Check(r *request.Request, authz authorize.Authorizer, obj, old schema.Object) error {
	if !Checks(r.Kind) || slices.Contains(r.User.Groups, userinfo.GroupMasters) || changesNoGrant(obj, old) {
		return nil
	}
	rules, err := z.granted(r, authz, obj)
	if err == nil {
		err = z.mayGrant(r.Context(), &r.User, r.Namespace, rules)
	}
	if err == nil && (isAggregated(obj) || isAggregated(old)) && !z.mayEscalate(r, authz) &&
		z.mayGrant(r.Context(), &r.User, "", fullAuthority) != nil {
		err = errors.New("must have cluster-admin privileges to use the aggregationRule")
	}
	if err == nil || errors.Is(err, registry.NotFound) {
		return err
	}
	return apierrors.NewForbidden(r.GR(), obj.GetName(), err)
}

// changesNoGrant tells whether an update changes only what the garbage collector does.
func changesNoGrant(obj, old schema.Object) bool {
	if old == nil {
		return false
	}
	changed := obj.DeepCopyObject().(schema.Object)
	changed.SetOwnerReferences(old.GetOwnerReferences())
	changed.SetFinalizers(old.GetFinalizers())
	changed.SetManagedFields(old.GetManagedFields())
	changed.GetObjectKind().SetGroupVersionKind(old.GetObjectKind().GroupVersionKind())
	return equality.Semantic.DeepEqual(changed, old)
}

// granted are the rules that an object grants and that its writer needs to have: none where it may grant them without.
func (z *Authorizer) granted(r *request.Request, authz authorize.Authorizer, obj schema.Object) ([]rbacv1.PolicyRule, error) {
	if r.Kind == rbac.Role || r.Kind == rbac.ClusterRole {
		if z.mayEscalate(r, authz) {
			return nil, nil
		}
		return rulesOf(obj), nil
	}
	ref, _ := bindingOf(obj)
	kind := rbac.ClusterRole
	if ref.Kind == rbac.Role.Kind {
		kind = rbac.Role
	} else if ref.Kind != kind.Kind {
		return nil, nil // validation refuses it
	}
	bind := authorize.Attributes{
		User: r.User, Verb: "bind", IsResource: true, Group: cmp.Or(ref.APIGroup, rbacv1.GroupName), Version: "*",
		Plural: kind.Plural, Namespace: r.Namespace, Name: ref.Name,
	}
	if d, _, _ := authz.Authorize(r.Context(), bind); d == authorize.Allowed || ref.Name == "" {
		return nil, nil
	}
	role := roleKey(ref, r.Namespace)
	it, err := z.reg.Get(r.Context(), kind, role.namespace, role.name, "")
	if err != nil {
		return nil, err
	}
	return rulesOf(it.Object()), nil
}

// mayEscalate tells whether the user of a request may write a role whatever its rules are.
func (z *Authorizer) mayEscalate(r *request.Request, authz authorize.Authorizer) bool {
	d, _, _ := authz.Authorize(r.Context(), authorize.Attributes{
		User: r.User, Verb: "escalate", IsResource: true, Group: r.Kind.Group, Version: "*", Plural: r.Kind.Plural, Namespace: r.Namespace, Name: r.Name,
	})
	return d == authorize.Allowed
}

// maxPermissions bounds what is compared: a rule grants each of its verbs on each of its resources in each of its groups.
const maxPermissions = 20_000

// mayGrant returns an error that lists the permissions that a user does not have.
func (z *Authorizer) mayGrant(ctx context.Context, user *authenticationv1.UserInfo, namespace string, rules []rbacv1.PolicyRule) error {
	if len(rules) == 0 {
		return nil
	}
	if permissions(rules) > maxPermissions {
		return fmt.Errorf("the rules grant more than %d permissions, which are not compared with those of user %q: use \"*\", or several roles", maxPermissions, user.Username)
	}
	own, err := z.Rules(ctx, *user, namespace)
	ok, missing := validation.Covers(policyRules(own), rules)
	if ok {
		return nil
	}
	text := fmt.Sprintf("user %q (groups=%q) is attempting to grant RBAC permissions not currently held:\n%s", user.Username, user.Groups, listed(missing))
	if err != nil {
		text += fmt.Sprintf("; resolution errors: [%v]", err)
	}
	return errors.New(text)
}

// permissions is how many permissions rules grant, or a number above maxPermissions.
func permissions(rules []rbacv1.PolicyRule) int {
	n := 0
	for _, r := range rules {
		one := 1
		for _, list := range []int{len(r.Verbs), len(r.APIGroups), len(r.Resources), max(1, len(r.ResourceNames))} {
			one = min(one*list, maxPermissions+1)
		}
		n += one + min(len(r.Verbs)*len(r.NonResourceURLs), maxPermissions+1)
		if n > maxPermissions {
			return n
		}
	}
	return n
}

var fullAuthority = []rbacv1.PolicyRule{
	{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}},
	{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}},
}

func isAggregated(obj schema.Object) bool {
	role, ok := obj.(*rbacv1.ClusterRole)
	return ok && role.AggregationRule != nil && len(role.AggregationRule.ClusterRoleSelectors) > 0
}

// policyRules is the other form of rules.
func policyRules(rules authorize.Rules) (all []rbacv1.PolicyRule) {
	for _, r := range rules.Resources {
		all = append(all, rbacv1.PolicyRule{Verbs: r.Verbs, APIGroups: r.APIGroups, Resources: r.Resources, ResourceNames: r.ResourceNames})
	}
	for _, r := range rules.Paths {
		all = append(all, rbacv1.PolicyRule{Verbs: r.Verbs, NonResourceURLs: r.NonResourceURLs})
	}
	return all
}
