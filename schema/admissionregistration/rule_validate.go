package admissionregistration

import (
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

// checkRule checks that there are operations, groups, versions and resources, and a wildcard of each alone.
func checkRule(f *check.Errors, r *admissionv1.RuleWithOperations, p *field.Path) {
	operations := p.Child("operations")
	if len(r.Operations) == 0 {
		f.Required(operations, "")
	}
	if len(r.Operations) > 1 && slices.Contains(r.Operations, admissionv1.OperationAll) {
		f.Invalid(operations, r.Operations, "if '*' is present, must not specify other operations")
	}
	for i, o := range r.Operations {
		check.OneOf(f, operations.Index(i), o, admissionv1.OperationAll, admissionv1.Connect, admissionv1.Create, admissionv1.Delete, admissionv1.Update)
	}
	for _, l := range []struct {
		name, what string
		list       []string
	}{{"apiGroups", "API groups", r.APIGroups}, {"apiVersions", "API versions", r.APIVersions}} {
		if len(l.list) == 0 {
			f.Required(p.Child(l.name), "")
		}
		if len(l.list) > 1 && slices.Contains(l.list, "*") {
			f.Invalid(p.Child(l.name), l.list, fmt.Sprintf("if '*' is present, must not specify other %s", l.what))
		}
	}
	for i, version := range r.APIVersions {
		f.Set(p.Child("apiVersions").Index(i), version)
	}
	checkResources(f, r.Resources, p.Child("resources"))
	if r.Scope != nil {
		check.OneOf(f, p.Child("scope"), *r.Scope, admissionv1.AllScopes, admissionv1.ClusterScope, admissionv1.NamespacedScope)
	}
}

// checkResources checks "pods", "pods/log", "pods/*", "*/log", "*" and "*/*": none may follow a wildcard that includes it.
func checkResources(f *check.Errors, list []string, p *field.Path) {
	if len(list) == 0 {
		f.Required(p, "")
	}
	everySubresource, everyResource := map[string]bool{}, map[string]bool{}
	plain := false // the last without a subresource is no wildcard, which is what Kubernetes looks at
	for i, text := range list {
		resource, sub, both := strings.Cut(text, "/")
		if text == "" {
			f.Required(p.Index(i), "")
			continue
		}
		if !both {
			plain = text != "*"
			continue
		}
		if everySubresource[resource] {
			f.Invalid(p.Index(i), text, fmt.Sprintf("if '%s/*' is present, must not specify %s", resource, text))
		}
		if everyResource[sub] {
			f.Invalid(p.Index(i), text, fmt.Sprintf("if '*/%s' is present, must not specify %s", sub, text))
		}
		if sub == "*" {
			everySubresource[resource] = true
		}
		if resource == "*" {
			everyResource[sub] = true
		}
	}
	if len(list) > 1 && slices.Contains(list, "*/*") {
		f.Invalid(p, list, "if '*/*' is present, must not specify other resources")
	}
	if plain && slices.Contains(list, "*") {
		f.Invalid(p, list, "if '*' is present, must not specify other resources without subresources")
	}
}

// checkMatch checks which requests a policy or a binding is for.
func checkMatch(f *check.Errors, m *admissionv1.MatchResources, p *field.Path) {
	if m == nil {
		return
	}
	if m.MatchPolicy == nil {
		f.Required(p.Child("matchPolicy"), "")
	}
	checkPolicies(f, nil, m.MatchPolicy, p)
	if s := m.NamespaceSelector; s == nil {
		f.Required(p.Child("namespaceSelector"), "")
	} else {
		f.Add(metavalidation.ValidateLabelSelector(s, metavalidation.LabelSelectorValidationOptions{}, p.Child("namespaceSelector"))...)
	}
	if s := m.ObjectSelector; s == nil {
		f.Required(p.Child("objectSelector"), "")
	} else {
		f.Add(metavalidation.ValidateLabelSelector(s, metavalidation.LabelSelectorValidationOptions{}, p.Child("objectSelector"))...)
	}
	checkNamedRules(f, m.ResourceRules, p.Child("resourceRules"))
	checkNamedRules(f, m.ExcludeResourceRules, p.Child("excludeResourceRules"))
}

func checkNamedRules(f *check.Errors, rules []admissionv1.NamedRuleWithOperations, list *field.Path) {
	for i := range rules {
		r, p := &rules[i], list.Index(i)
		seen := map[string]bool{}
		for j, name := range r.ResourceNames {
			at := p.Child("resourceNames").Index(j)
			f.Each(at, name, content.IsPathSegmentName(name))
			if seen[name] {
				f.Duplicate(at, name)
			}
			seen[name] = true
		}
		checkRule(f, &r.RuleWithOperations, p)
	}
}

// checkMutable refuses operations of rules that leave nothing to change.
func checkMutable(f *check.Errors, m *admissionv1.MatchResources, p *field.Path) {
	if m == nil {
		return
	}
	for i := range m.ResourceRules {
		for _, o := range m.ResourceRules[i].Operations {
			check.OneOf(f, p.Child("resourceRules", "operations"), o, admissionv1.OperationAll, admissionv1.Connect, admissionv1.Create, admissionv1.Update)
		}
	}
}
