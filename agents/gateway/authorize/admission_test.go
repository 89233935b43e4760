package authorize

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// asked keeps what it is asked and allows what "ann" does.
type asked struct{ last *Attributes }

func (f asked) Authorize(_ context.Context, a Attributes) (Decision, string, error) {
	*f.last = a
	if a.User.Username == "ann" {
		return Allowed, "", nil
	}
	return NoOpinion, "not ann", nil
}

func (asked) Rules(context.Context, authenticationv1.UserInfo, string) (Rules, error) {
	return Rules{}, nil
}

func TestForAdmission(t *testing.T) {
	var got Attributes
	a := ForAdmission(asked{&got})
	terms := fields.ParseSelectorOrDie("spec.nodeName=n1,metadata.name!=x").Requirements()
	d, _, err := a.Authorize(t.Context(), authorizer.AttributesRecord{
		User: &user.DefaultInfo{Name: "ann", UID: "1", Groups: []string{"g"}, Extra: map[string][]string{"k": {"v"}}},
		Verb: "list", APIGroup: "apps", APIVersion: "v1", Resource: "deployments", Subresource: "scale", Namespace: "default", Name: "d",
		ResourceRequest: true, FieldSelectorRequirements: terms,
	})
	if d != authorizer.DecisionAllow || err != nil {
		t.Errorf("what is allowed is answered by %v, %v", d, err)
	}
	want := Attributes{
		User: authenticationv1.UserInfo{Username: "ann", UID: "1", Groups: []string{"g"}, Extra: map[string]authenticationv1.ExtraValue{"k": {"v"}}},
		Verb: "list", IsResource: true, Group: "apps", Version: "v1", Plural: "deployments", Subresource: "scale", Namespace: "default", Name: "d",
		Fields: "metadata.name!=x,spec.nodeName=n1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	d, reason, err := a.Authorize(t.Context(), authorizer.AttributesRecord{User: &user.DefaultInfo{Name: "bob"}, Verb: "get", Path: "/healthz"})
	if d != authorizer.DecisionNoOpinion || reason != "not ann" || err != nil || got.IsResource || got.Path != "/healthz" {
		t.Errorf("a path is answered by %v, %q, %v; it was asked for %+v", d, reason, err, got)
	}
}
