package authorize

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"

	"gantry/agents/gateway/userinfo"
)

// broken is an authorizer that cannot decide.
type broken struct{}

func (broken) Authorize(context.Context, Attributes) (Decision, string, error) {
	return NoOpinion, "", errors.New("broken")
}

func (broken) Rules(context.Context, authenticationv1.UserInfo, string) (Rules, error) {
	return Rules{Incomplete: true}, errors.New("broken")
}

// operators are a small authorizer: a group that may scale anything and restart deployments, and see the metrics.
var operators = &groupRules{
	group: "operators",
	rules: Rules{
		Resources: []authorizationv1.ResourceRule{
			{Verbs: []string{"get", "update"}, APIGroups: []string{"*"}, Resources: []string{"*/scale"}},
			{Verbs: []string{"patch"}, APIGroups: []string{"apps"}, Resources: []string{"deployments"}, ResourceNames: []string{"web"}},
		},
		Paths: []authorizationv1.NonResourceRule{{Verbs: []string{"get"}, NonResourceURLs: []string{"/metrics", "/debug/*"}}},
	},
}

// TestChain checks that the first authorizer that allows decides, and that a request that none allows is refused with their reasons.
func TestChain(t *testing.T) {
	chain := append(New(nil, broken{}), operators)
	jane := authenticationv1.UserInfo{Username: "jane", Groups: []string{"operators", userinfo.GroupAuthenticated}}
	john := authenticationv1.UserInfo{Username: "john", Groups: []string{userinfo.GroupAuthenticated}}
	nobody := authenticationv1.UserInfo{Username: userinfo.UserAnonymous, Groups: []string{userinfo.GroupUnauthenticated}}
	admin := authenticationv1.UserInfo{Username: "admin", Groups: []string{userinfo.GroupMasters}}
	for _, tt := range []struct {
		name string
		a    Attributes
		want bool
	}{
		{"masters do everything", Attributes{User: admin, Verb: "delete", IsResource: true, Plural: "nodes", Name: "n"}, true},
		{"paths too", Attributes{User: admin, Verb: "get", Path: "/debug/pprof/"}, true},
		{"operators scale", Attributes{User: jane, Verb: "update", IsResource: true, Group: "apps", Plural: "deployments", Subresource: "scale", Name: "x"}, true},
		{"in any group", Attributes{User: jane, Verb: "get", IsResource: true, Group: "example.com", Plural: "webs", Subresource: "scale", Name: "x"}, true},
		{"by no other verb", Attributes{User: jane, Verb: "patch", IsResource: true, Group: "apps", Plural: "deployments", Subresource: "scale", Name: "x"}, false},
		{"the object itself is another resource", Attributes{User: jane, Verb: "update", IsResource: true, Group: "apps", Plural: "deployments", Name: "x"}, false},
		{"a named object", Attributes{User: jane, Verb: "patch", IsResource: true, Group: "apps", Plural: "deployments", Name: "web"}, true},
		{"no other name", Attributes{User: jane, Verb: "patch", IsResource: true, Group: "apps", Plural: "deployments", Name: "x"}, false},
		{"no other group", Attributes{User: jane, Verb: "patch", IsResource: true, Plural: "deployments", Name: "web"}, false},
		{"others do not", Attributes{User: john, Verb: "update", IsResource: true, Group: "apps", Plural: "deployments", Subresource: "scale", Name: "x"}, false},
		{"a path", Attributes{User: jane, Verb: "get", Path: "/metrics"}, true},
		{"a path below", Attributes{User: jane, Verb: "get", Path: "/debug/pprof/heap"}, true},
		{"no path beside", Attributes{User: jane, Verb: "get", Path: "/metrics/x"}, false},
		{"a path below by another method", Attributes{User: jane, Verb: "head", Path: "/debug/pprof/heap"}, false},
		{"health is for everybody", Attributes{User: nobody, Verb: "head", Path: "/readyz"}, true},
		{"not each check", Attributes{User: nobody, Verb: "get", Path: "/readyz/etcd"}, false},
		{"of a name that begins like it", Attributes{User: nobody, Verb: "get", Path: "/readyzzz"}, false},
		{"no write to it", Attributes{User: nobody, Verb: "post", Path: "/readyz"}, false},
	} {
		d, _, err := chain.Authorize(t.Context(), tt.a)
		if (d == Allowed) != tt.want || d != Allowed && err == nil {
			t.Errorf("%s: got %v, %v; want allowed %v", tt.name, d, err, tt.want)
		}
		if req := Require(t.Context(), chain, tt.a); (req == nil) != tt.want {
			t.Errorf("%s: required: %v", tt.name, req)
		}
	}
}

// TestRulesAreThoseOfAll checks that the rules of a user are those of all authorizers, and that they are incomplete where one cannot list
// its own.
func TestRulesAreThoseOfAll(t *testing.T) {
	jane := authenticationv1.UserInfo{Username: "jane", Groups: []string{"operators"}}
	got, err := New(nil, operators).Rules(t.Context(), jane, "default")
	want := Rules{Resources: operators.rules.Resources, Paths: append(health.rules.Paths[:1:1], operators.rules.Paths...)}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	got, err = append(New(nil, broken{}), operators).Rules(t.Context(), jane, "default")
	want.Incomplete = true
	if diff := cmp.Diff(want, got); diff != "" || err == nil || err.Error() != "broken" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	node := authenticationv1.UserInfo{Username: "system:node:n1", Groups: []string{userinfo.GroupNodes}}
	got, err = New(nil, operators).Rules(t.Context(), node, "kube-node-lease")
	if err == nil || !got.Incomplete {
		t.Errorf("the rules of a node are complete: %v", err)
	}
	for _, a := range []Attributes{ // what is listed is what is permitted
		{User: node, Verb: "watch", IsResource: true, Plural: "services"},
		{User: node, Verb: "patch", IsResource: true, Plural: "nodes", Subresource: "status", Name: "n1"},
		{User: node, Verb: "update", IsResource: true, Group: "coordination.k8s.io", Plural: "leases", Namespace: "kube-node-lease", Name: "n1"},
		{User: node, Verb: "create", IsResource: true, Group: "events.k8s.io", Plural: "events", Namespace: "default"},
	} {
		if d, _, _ := New(nil, operators).Authorize(t.Context(), a); d != Allowed || !got.Allow(&a) {
			t.Errorf("%s %s: authorized %v, listed %v", a.Verb, a.Plural, d, got.Allow(&a))
		}
	}
	for _, a := range []Attributes{
		{User: node, Verb: "delete", IsResource: true, Plural: "nodes", Name: "n1"},
		{User: node, Verb: "update", IsResource: true, Plural: "nodes", Name: "n2"},
		{User: node, Verb: "update", IsResource: true, Plural: "services", Subresource: "status", Name: "s"},
	} {
		if d, _, _ := New(nil, operators).Authorize(t.Context(), a); d == Allowed || got.Allow(&a) {
			t.Errorf("%s %s: authorized %v, listed %v", a.Verb, a.Plural, d, got.Allow(&a))
		}
	}
}
