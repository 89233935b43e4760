package match

import (
	"context"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"gantry/registry/admit"
	"gantry/schema"
)

// Rules finds the version of the request's kind that the rules are about: the client's own, or with the match policy Equivalent another one
// that is served. nil: the rules are not about the request.
func Rules(q *admit.Request, rules []admissionv1.RuleWithOperations, policy *admissionv1.MatchPolicyType) *schema.Version {
	if slices.ContainsFunc(rules, func(r admissionv1.RuleWithOperations) bool { return matches(q, &r, q.Version) }) {
		return q.Version
	}
	if policy != nil && *policy == admissionv1.Exact {
		return nil
	}
	for i := range rules {
		for _, v := range q.Kind.Served() {
			if v != q.Version && matches(q, &rules[i], v) {
				return v
			}
		}
	}
	return nil
}

// Resources finds the version of the request's kind that a policy or a binding is about; nil: it is not about the request. No constraints are
// about everything, as the client asks for it.
func Resources(ctx context.Context, read admit.Reader, q *admit.Request, m *admissionv1.MatchResources) (*schema.Version, error) {
	if m == nil {
		return q.Version, nil
	}
	if named(q, m.ExcludeResourceRules, m.MatchPolicy) != nil {
		return nil, nil
	}
	v := q.Version
	if len(m.ResourceRules) > 0 {
		if v = named(q, m.ResourceRules, m.MatchPolicy); v == nil {
			return nil, nil
		}
	}
	s, err := NewSelectors(m.NamespaceSelector, m.ObjectSelector)
	if err != nil {
		return nil, err
	}
	if ok, err := s.Select(ctx, read, q); err != nil || !ok {
		return nil, err
	}
	return v, nil
}

// named is Rules of those rules that name the request's object, or none.
func named(q *admit.Request, rules []admissionv1.NamedRuleWithOperations, policy *admissionv1.MatchPolicyType) *schema.Version {
	var all []admissionv1.RuleWithOperations
	for i := range rules {
		if r := &rules[i]; len(r.ResourceNames) == 0 || slices.Contains(r.ResourceNames, q.Name) {
			all = append(all, r.RuleWithOperations)
		}
	}
	return Rules(q, all, policy)
}

func matches(q *admit.Request, r *admissionv1.RuleWithOperations, v *schema.Version) bool {
	return has(r.Operations, admissionv1.OperationType(q.Operation)) && has(r.APIGroups, v.Group) && has(r.APIVersions, v.Version) &&
		inScope(r.Scope, q) && slices.ContainsFunc(r.Resources, func(pattern string) bool { return isResource(pattern, q.Kind.Plural, q.Subresource) })
}

func has[S ~string](list []S, want S) bool {
	return slices.Contains(list, want) || slices.Contains(list, "*")
}

// inScope tells whether a request is of a rule's scope. A namespace is an object of the cluster, though a request for it has a namespace.
func inScope(scope *admissionv1.ScopeType, q *admit.Request) bool {
	switch {
	case scope == nil || *scope == admissionv1.AllScopes:
		return true
	case *scope == admissionv1.NamespacedScope:
		return q.Kind.Namespaced
	}
	return !q.Kind.Namespaced
}

// isResource tells whether a pattern ("pods", "pods/log", "pods/*", "*", "*/scale", "*/*") is about a resource or a subresource of it.
func isResource(pattern, plural, subresource string) bool {
	resource, sub, hasSub := strings.Cut(pattern, "/")
	return (resource == "*" || resource == plural) && (sub == subresource || hasSub && sub == "*")
}
