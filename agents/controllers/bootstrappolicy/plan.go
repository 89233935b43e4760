package bootstrappolicy

import (
	"maps"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/auth/rbac/validation"

	"gantry/agents/controllers/controller"
	"gantry/schema"
)

// plan is what makes of an existing object (nil: none) the one that is wanted. It is pure.
func plan(w wanted, existing schema.Object) []controller.Action {
	create := controller.Action{Do: controller.Create, Kind: w.kind, Object: w.object, Reason: "every cluster has it", Quiet: true}
	switch {
	case existing == nil:
		return []controller.Action{create}
	case existing.GetAnnotations()[rbacv1.AutoUpdateAnnotationKey] == "false":
		return nil
	case roleOf(existing) != roleOf(w.object):
		remove := controller.Action{Do: controller.Delete, Kind: w.kind, Object: existing, Reason: "it binds another role"}
		return []controller.Action{remove, create}
	}
	changed := existing.DeepCopyObject().(schema.Object)
	changed.SetLabels(withMissing(changed.GetLabels(), w.object.GetLabels()))
	changed.SetAnnotations(withMissing(changed.GetAnnotations(), w.object.GetAnnotations()))
	switch o := changed.(type) {
	case *rbacv1.ClusterRole:
		expected := w.object.(*rbacv1.ClusterRole)
		addRules(&o.Rules, expected.Rules)
		o.AggregationRule = withSelectors(o.AggregationRule, expected.AggregationRule)
	case *rbacv1.Role:
		addRules(&o.Rules, w.object.(*rbacv1.Role).Rules)
	case *rbacv1.ClusterRoleBinding:
		addSubjects(&o.Subjects, w.object.(*rbacv1.ClusterRoleBinding).Subjects)
	case *rbacv1.RoleBinding:
		addSubjects(&o.Subjects, w.object.(*rbacv1.RoleBinding).Subjects)
	}
	if equality.Semantic.DeepEqual(changed, existing) {
		return nil
	}
	return []controller.Action{{Do: controller.Update, Kind: w.kind, Object: changed, Reason: "it lacks what every cluster's has"}}
}

// roleOf is the role that a binding is of; of a role it is empty.
func roleOf(obj schema.Object) rbacv1.RoleRef {
	switch o := obj.(type) {
	case *rbacv1.ClusterRoleBinding:
		return o.RoleRef
	case *rbacv1.RoleBinding:
		return o.RoleRef
	}
	return rbacv1.RoleRef{}
}

// withMissing is m with the entries of expected whose keys it lacks.
func withMissing(m, expected map[string]string) map[string]string {
	all := maps.Clone(expected)
	maps.Copy(all, m)
	return all
}

// addRules adds, verb by verb, what rules do not grant of expected.
func addRules(rules *[]rbacv1.PolicyRule, expected []rbacv1.PolicyRule) {
	_, missing := validation.Covers(*rules, expected)
	*rules = append(*rules, missing...)
}

// withSelectors is rule with the selectors of expected that it lacks. A role that is not to be made of others is not: nil.
func withSelectors(rule, expected *rbacv1.AggregationRule) *rbacv1.AggregationRule {
	if expected == nil {
		return nil
	}
	all := &rbacv1.AggregationRule{}
	if rule != nil {
		all = rule.DeepCopy()
	}
	for _, s := range expected.ClusterRoleSelectors {
		if !slices.ContainsFunc(all.ClusterRoleSelectors, func(known metav1.LabelSelector) bool { return equality.Semantic.DeepEqual(known, s) }) {
			all.ClusterRoleSelectors = append(all.ClusterRoleSelectors, s)
		}
	}
	return all
}

func addSubjects(subjects *[]rbacv1.Subject, expected []rbacv1.Subject) {
	for _, s := range expected {
		if !slices.Contains(*subjects, s) {
			*subjects = append(*subjects, s)
		}
	}
}
