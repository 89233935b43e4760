package lifecycle

import (
	"context"
	"errors"
	"slices"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/agents/controllers/controller"
	"gantry/agents/internal/loop"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/rbac"
)

// roleAggregation has a key for each cluster role with an aggregation rule: its name.
type roleAggregation struct{ *controller.Env }

// NewClusterRoleAggregation gives cluster roles with an aggregation rule the rules of the roles that it selects.
func NewClusterRoleAggregation(e *controller.Env) controller.Reconciler {
	c := roleAggregation{e}
	const every = "/" // all of them; no name has a slash
	return controller.Reconciler{
		Reconcile: func(ctx context.Context, key string) (time.Duration, error) {
			if key == every {
				return 0, c.enqueueAggregated(ctx)
			}
			return 0, c.reconcile(ctx, key)
		},
		Watches: []controller.Watch{{Kind: rbac.ClusterRole, Keys: func(old, current schema.Object) {
			if old == nil || current == nil || !sameForAggregation(old.(*rbacv1.ClusterRole), current.(*rbacv1.ClusterRole)) {
				c.Enqueue(every, controller.CoalesceDelay)
			}
		}}},
	}
}

// sameForAggregation tells whether nothing changed that other roles, or the role's own rules, are made of.
func sameForAggregation(old, current *rbacv1.ClusterRole) bool {
	return equality.Semantic.DeepEqual(old.Rules, current.Rules) && equality.Semantic.DeepEqual(old.Labels, current.Labels) &&
		equality.Semantic.DeepEqual(old.AggregationRule, current.AggregationRule)
}

// enqueueAggregated enqueues all roles with a rule: there are few, and a role may be made of one that is itself made of others.
func (c roleAggregation) enqueueAggregated(ctx context.Context) error {
	roles, err := registry.For[*rbacv1.ClusterRole](c.Registry).CachedList(ctx, "", "")
	for _, role := range roles {
		if role.AggregationRule != nil {
			c.Enqueue(role.Name, 0)
		}
	}
	return err
}

func (c roleAggregation) reconcile(ctx context.Context, name string) error {
	roles, err := registry.For[*rbacv1.ClusterRole](c.Registry).CachedList(ctx, "", "")
	if err != nil {
		return err
	}
	i := slices.IndexFunc(roles, func(r *rbacv1.ClusterRole) bool { return r.Name == name })
	if i < 0 || roles[i].AggregationRule == nil {
		return nil
	}
	rules, err := aggregatedRules(roles[i], roles)
	if err != nil {
		return loop.Terminal(err) // a selector that only a change of the role can put right
	}
	if equality.Semantic.DeepEqual(rules, roles[i].Rules) {
		return nil
	}
	changed := roles[i].DeepCopy()
	changed.Rules = rules
	err = c.Execute(ctx, []controller.Action{{Do: controller.Update, Kind: rbac.ClusterRole, Object: changed, Reason: "the roles that it is made of have changed"}})
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	return err
}

// aggregatedRules are the rules of the roles that a role selects, each once: in the order of the selectors, of the roles' names, and of their
// rules. roles are all there are, by name. It is pure.
func aggregatedRules(role *rbacv1.ClusterRole, roles []*rbacv1.ClusterRole) ([]rbacv1.PolicyRule, error) {
	var rules []rbacv1.PolicyRule
	for i := range role.AggregationRule.ClusterRoleSelectors {
		selector, err := metav1.LabelSelectorAsSelector(&role.AggregationRule.ClusterRoleSelectors[i])
		if err != nil {
			return nil, err
		}
		for _, other := range roles {
			if other.Name == role.Name || !selector.Matches(labels.Set(other.Labels)) {
				continue
			}
			for _, rule := range other.Rules {
				if !slices.ContainsFunc(rules, func(known rbacv1.PolicyRule) bool { return equality.Semantic.DeepEqual(known, rule) }) {
					rules = append(rules, rule)
				}
			}
		}
	}
	return rules, nil
}
