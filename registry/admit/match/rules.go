package match

import (
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
