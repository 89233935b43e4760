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

// allow tells whether one of the rules grants what is asked.
func (r Rules) allow(a Attributes) bool {
	if a.IsResource {
		return slices.ContainsFunc(r.Resources, func(rule authorizationv1.ResourceRule) bool { return resourceAllowed(&rule, &a) })
	}
	return slices.ContainsFunc(r.Paths, func(rule authorizationv1.NonResourceRule) bool { return pathAllowed(&rule, &a) })
}

// resourceAllowed tells whether a rule grants a verb on a resource: "pods", "pods/log", "*/scale" or "*". A rule without names is
// about all of them.
func resourceAllowed(rule *authorizationv1.ResourceRule, a *Attributes) bool {
	return named(rule.Verbs, a.Verb) && named(rule.APIGroups, a.Group) &&
		slices.ContainsFunc(rule.Resources, func(r string) bool { return r == "*" || isResource(r, a.Plural, a.Subresource) }) &&
		(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, a.Name))
}

func isResource(rule, plural, subresource string) bool {
	resource, sub, nested := strings.Cut(rule, "/")
	return nested == (subresource != "") && sub == subresource && (resource == plural || nested && resource == "*")
}

// pathAllowed tells whether a rule grants a method on a path: "/version", or "/apis/*" for everything below. HEAD is
// permitted where GET is, and a path with a slash at its end is the one without.
func pathAllowed(rule *authorizationv1.NonResourceRule, a *Attributes) bool {
	verb := a.Verb
	if verb == "head" {
		verb = "get"
	}
	return named(rule.Verbs, verb) && slices.ContainsFunc(rule.NonResourceURLs, func(url string) bool {
		prefix, open := strings.CutSuffix(url, "*")
		return open && strings.HasPrefix(a.Path, prefix) || url == a.Path || url == strings.TrimSuffix(a.Path, "/")
	})
}

func named(list []string, one string) bool {
	return slices.Contains(list, "*") || slices.Contains(list, one)
}

// groupRules is an authorizer that grants rules to the members of a group, or to one user; "" is every one.
type groupRules struct {
	group string
	user  string
	rules Rules
}

// Authorize allows the group's members what the rules grant.
func (g *groupRules) Authorize(_ context.Context, a Attributes) (Decision, string, error) {
	if g.member(a.User) && g.rules.allow(a) {
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
	return (g.group == "" || slices.Contains(user.Groups, g.group)) && (g.user == "" || user.Username == g.user)
}
