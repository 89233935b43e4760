package authorize

import (
	"context"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
)

// Rules are what a user may do, as SelfSubjectRulesReview lists it.
type Rules struct {
	Resources []authorizationv1.ResourceRule
	Paths     []authorizationv1.NonResourceRule
	// Incomplete tells that the user may do more than can be listed.
	Incomplete bool
}

// Allow tells whether one of the rules grants what is asked.
func (r *Rules) Allow(a *Attributes) bool {
	if a.IsResource {
		return slices.ContainsFunc(r.Resources, func(rule authorizationv1.ResourceRule) bool { return resourceAllowed(&rule, a) })
	}
	return slices.ContainsFunc(r.Paths, func(rule authorizationv1.NonResourceRule) bool { return pathAllowed(&rule, a) })
}

// resourceAllowed tells whether a rule grants a verb on a resource: "pods", "pods/log", "*/scale" or "*". A rule without names is
// about all of them.
func resourceAllowed(rule *authorizationv1.ResourceRule, a *Attributes) bool {
	return named(rule.Verbs, a.Verb) && named(rule.APIGroups, a.Group) &&
		slices.ContainsFunc(rule.Resources, func(r string) bool { return r == "*" || isResource(r, a.Plural, a.Subresource) }) &&
		(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, a.Name))
}

// isResource tells whether rule is "plural", or "plural/subresource" or "*/subresource" where there is a subresource.
func isResource(rule, plural, subresource string) bool {
	if subresource == "" {
		return rule == plural
	}
	at := len(rule) - len(subresource) - 1
	return at > 0 && rule[at] == '/' && rule[at+1:] == subresource && (rule[:at] == plural || rule[:at] == "*")
}

// pathAllowed tells whether a rule grants a method on a path: "/version", or "/apis/*" for everything below.
func pathAllowed(rule *authorizationv1.NonResourceRule, a *Attributes) bool {
	return named(rule.Verbs, a.Verb) && slices.ContainsFunc(rule.NonResourceURLs, func(url string) bool {
		prefix := strings.TrimRight(url, "*")
		return url == a.Path || prefix != url && strings.HasPrefix(a.Path, prefix)
	})
}

func named(list []string, one string) bool {
	return slices.Contains(list, "*") || slices.Contains(list, one)
}

// groupRules is an authorizer that grants rules to the members of a group; "" is every one.
type groupRules struct {
	group string
	rules Rules
}

// Authorize allows the group's members what the rules grant.
func (g *groupRules) Authorize(_ context.Context, a Attributes) (Decision, string, error) {
	if g.member(a.User) && g.rules.Allow(&a) {
		return Allowed, "", nil
	}
	return NoOpinion, "", nil
}

// Rules are the group's for its members.
func (g *groupRules) Rules(_ context.Context, user authenticationv1.UserInfo, _ string) (Rules, error) {
	if !g.member(user) {
		return Rules{}, nil
	}
	return g.rules, nil
}

func (g *groupRules) member(user authenticationv1.UserInfo) bool {
	return g.group == "" || slices.Contains(user.Groups, g.group)
}
