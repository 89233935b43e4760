package rbac

import (
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

func validateRole(role *rbacv1.Role) field.ErrorList {
	var f check.Errors
	checkRules(&f, role.Rules, true)
	return f.List
}

func validateRoleUpdate(role, _ *rbacv1.Role) field.ErrorList { return validateRole(role) }

func validateClusterRole(role *rbacv1.ClusterRole) field.ErrorList {
	var f check.Errors
	checkRules(&f, role.Rules, false)
	checkAggregation(&f, role.AggregationRule, metavalidation.LabelSelectorValidationOptions{})
	return f.List
}

// validateClusterRoleUpdate allows label values in selectors that are invalid where old has some.
func validateClusterRoleUpdate(role, old *rbacv1.ClusterRole) field.ErrorList {
	var f check.Errors
	checkRules(&f, role.Rules, false)
	checkAggregation(&f, role.AggregationRule, metavalidation.LabelSelectorValidationOptions{AllowInvalidLabelValueInSelector: hasInvalidSelector(old)})
	return f.List
}

func hasInvalidSelector(role *rbacv1.ClusterRole) bool {
	if role.AggregationRule == nil {
		return false
	}
	for i := range role.AggregationRule.ClusterRoleSelectors {
		if len(metavalidation.ValidateLabelSelector(&role.AggregationRule.ClusterRoleSelectors[i], metavalidation.LabelSelectorValidationOptions{}, nil)) > 0 {
			return true
		}
	}
	return false
}

// checkRules requires verbs of every rule, and either URLs, which roles of a namespace cannot have, or groups and resources.
func checkRules(f *check.Errors, rules []rbacv1.PolicyRule, namespaced bool) {
	for i := range rules {
		rule, p := &rules[i], field.NewPath("rules").Index(i)
		if len(rule.Verbs) == 0 {
			f.Required(p.Child("verbs"), "verbs must contain at least one value")
		}
		if len(rule.NonResourceURLs) > 0 {
			urls := p.Child("nonResourceURLs")
			if namespaced {
				f.Invalid(urls, rule.NonResourceURLs, "namespaced rules cannot apply to non-resource URLs")
			}
			if len(rule.APIGroups)+len(rule.Resources)+len(rule.ResourceNames) > 0 {
				f.Invalid(urls, rule.NonResourceURLs, "rules cannot apply to both regular resources and non-resource URLs")
			}
			continue
		}
		if len(rule.APIGroups) == 0 {
			f.Required(p.Child("apiGroups"), "resource rules must supply at least one api group")
		}
		if len(rule.Resources) == 0 {
			f.Required(p.Child("resources"), "resource rules must supply at least one resource")
		}
	}
}

func checkAggregation(f *check.Errors, rule *rbacv1.AggregationRule, o metavalidation.LabelSelectorValidationOptions) {
	if rule == nil {
		return
	}
	list := field.NewPath("aggregationRule", "clusterRoleSelectors")
	if len(rule.ClusterRoleSelectors) == 0 {
		f.Required(list, "at least one clusterRoleSelector required if aggregationRule is non-nil")
	}
	for i := range rule.ClusterRoleSelectors {
		selector := &rule.ClusterRoleSelectors[i]
		f.Add(metavalidation.ValidateLabelSelector(selector, o, list.Index(i))...)
		if _, err := metav1.LabelSelectorAsSelector(selector); err != nil {
			f.Invalid(list.Index(i), nil, "invalid label selector.")
		}
	}
}

func validateRoleBinding(b *rbacv1.RoleBinding) field.ErrorList {
	return checkBinding(b.RoleRef, b.Subjects, "Role", "ClusterRole").List
}

func validateRoleBindingUpdate(b, old *rbacv1.RoleBinding) field.ErrorList {
	f := checkBinding(b.RoleRef, b.Subjects, "Role", "ClusterRole")
	checkSameRole(&f, b.RoleRef, old.RoleRef)
	return f.List
}

func validateClusterRoleBinding(b *rbacv1.ClusterRoleBinding) field.ErrorList {
	return checkBinding(b.RoleRef, b.Subjects, "ClusterRole").List
}

func validateClusterRoleBindingUpdate(b, old *rbacv1.ClusterRoleBinding) field.ErrorList {
	f := checkBinding(b.RoleRef, b.Subjects, "ClusterRole")
	checkSameRole(&f, b.RoleRef, old.RoleRef)
	return f.List
}

// checkBinding checks the role, which is of one of kinds, and the subjects. A binding of cluster roles alone is the cluster's: its service
// accounts need a namespace.
func checkBinding(role rbacv1.RoleRef, subjects []rbacv1.Subject, kinds ...string) (f check.Errors) {
	p := field.NewPath("roleRef")
	check.OneOf(&f, p.Child("apiGroup"), role.APIGroup, rbacv1.GroupName)
	check.OneOf(&f, p.Child("kind"), role.Kind, kinds...)
	if name := p.Child("name"); f.Set(name, role.Name) {
		f.Each(name, role.Name, content.IsPathSegmentName(role.Name))
	}
	for i := range subjects {
		checkSubject(&f, &subjects[i], len(kinds) > 1, field.NewPath("subjects").Index(i))
	}
	return f
}

func checkSubject(f *check.Errors, s *rbacv1.Subject, namespaced bool, p *field.Path) {
	named := f.Set(p.Child("name"), s.Name)
	switch s.Kind {
	case rbacv1.ServiceAccountKind:
		if named {
			f.Each(p.Child("name"), s.Name, apivalidation.ValidateServiceAccountName(s.Name, false))
		}
		check.OneOf(f, p.Child("apiGroup"), s.APIGroup, "")
		if !namespaced {
			f.Set(p.Child("namespace"), s.Namespace)
		}
	case rbacv1.UserKind, rbacv1.GroupKind:
		check.OneOf(f, p.Child("apiGroup"), s.APIGroup, rbacv1.GroupName)
	default:
		check.OneOf(f, p.Child("kind"), s.Kind, rbacv1.ServiceAccountKind, rbacv1.UserKind, rbacv1.GroupKind)
	}
}

func checkSameRole(f *check.Errors, role, old rbacv1.RoleRef) {
	if role != old {
		f.Invalid(field.NewPath("roleRef"), shownRole(role), "cannot change roleRef")
	}
}

// shownRole is a role as Kubernetes' errors show it, by the names of its Go fields.
type shownRole struct{ APIGroup, Kind, Name string }
