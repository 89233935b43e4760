package gateway_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"

	"gantry/agents/gateway/authorize"
	"gantry/agents/internal/pki"
)

// readers is a small authorizer: jane may read config maps in the namespace default.
type readers struct{}

func (readers) Authorize(_ context.Context, a authorize.Attributes) (authorize.Decision, string, error) {
	if a.User.Username == "jane" && a.Verb == "get" && a.IsResource && a.Plural == "configmaps" && a.Namespace == "default" {
		return authorize.Allowed, "by readers", nil
	}
	return authorize.NoOpinion, "", nil
}

func (readers) Rules(_ context.Context, user authenticationv1.UserInfo, namespace string) (authorize.Rules, error) {
	if user.Username != "jane" || namespace != "default" {
		return authorize.Rules{}, nil
	}
	return authorize.Rules{Resources: []authorizationv1.ResourceRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"configmaps"}}}}, nil
}

// TestReviewsAskTheAuthorizers adds an authorizer, and checks that requests and every kind of review are decided by it.
func TestReviewsAskTheAuthorizers(t *testing.T) {
	c := newCluster(t)
	c.rebuild(c.Registry, append(authorize.New(c.Registry, c.Roles), readers{}))
	jane := leafOf(t, c.Pair("jane", pki.Request{CommonName: "jane"}))
	admin := leafOf(t, c.Admin)
	const (
		authorization = "/apis/authorization.k8s.io/v1/"
		maps          = `"resourceAttributes":{"verb":"get","resource":"configmaps","namespace":"default"}`
	)
	if a := c.ask(jane, "GET", "/api/v1/namespaces/default/configmaps/absent", ""); a.Code != 404 {
		t.Errorf("jane reads a config map: %d %s", a.Code, a.Body)
	}
	if a := c.ask(jane, "GET", "/api/v1/namespaces/kube-system/configmaps/absent", ""); a.Code != 403 {
		t.Errorf("jane reads one elsewhere: %d %s", a.Code, a.Body)
	}
	for _, path := range []string{"selfsubjectaccessreviews", "subjectaccessreviews", "namespaces/default/localsubjectaccessreviews"} {
		leaf, body := admin, `{"spec":{"user":"jane",`+maps+`}}`
		if path == "selfsubjectaccessreviews" {
			leaf, body = jane, `{"spec":{`+maps+`}}`
		}
		a := c.ask(leaf, "POST", authorization+path, body, "Content-Type: application/json")
		var review struct {
			Status authorizationv1.SubjectAccessReviewStatus
		}
		if err := json.Unmarshal([]byte(a.Body), &review); err != nil || a.Code != 201 {
			t.Fatalf("%s: %d %s", path, a.Code, a.Body)
		}
		if diff := cmp.Diff(authorizationv1.SubjectAccessReviewStatus{Allowed: true, Reason: "by readers"}, review.Status); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	rules := func(namespace string) (resources []string) {
		a := c.ask(jane, "POST", authorization+"selfsubjectrulesreviews", `{"spec":{"namespace":"`+namespace+`"}}`, "Content-Type: application/json")
		var review authorizationv1.SelfSubjectRulesReview
		if err := json.Unmarshal([]byte(a.Body), &review); err != nil || a.Code != 201 || review.Status.Incomplete || len(review.Status.NonResourceRules) == 0 {
			t.Fatalf("%d %s", a.Code, a.Body)
		}
		for _, r := range review.Status.ResourceRules {
			resources = append(resources, r.Resources...)
		}
		return resources
	}
	basic := []string{"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"}
	if diff := cmp.Diff(append(basic[:3:3], "configmaps"), rules("default")); diff != "" {
		t.Errorf("in default (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(basic, rules("kube-system")); diff != "" {
		t.Errorf("in kube-system (-want +got):\n%s", diff)
	}
}
