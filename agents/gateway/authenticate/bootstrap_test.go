package authenticate_test

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/gateway/gatewaytest"
	"gantry/schema"
	"gantry/schema/core"
)

const bootstrapToken = "abc123.0123456789abcdef"

func makeBootstrapToken(c *gatewaytest.Cluster) {
	c.Make(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "bootstrap-token-abc123"}, Type: "bootstrap.kubernetes.io/token", Data: map[string][]byte{
		"token-id": []byte("abc123"), "token-secret": []byte("0123456789abcdef"), "usage-bootstrap-authentication": []byte("true"),
		"auth-extra-groups": []byte("system:bootstrappers:workers"),
	}})
}

// TestBootstrapTokens follows a bootstrap token: it is somebody while its Secret says so.
func TestBootstrapTokens(t *testing.T) {
	c := gatewaytest.New(t)
	makeBootstrapToken(c)
	nobody := c.Client()
	self := func(token string) gatewaytest.Answer {
		return c.Do(nobody, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", `{}`, "Authorization: Bearer "+token)
	}
	var got authenticationv1.SelfSubjectReview
	c.Until(func() string { // the cache has the Secret
		a := self(bootstrapToken)
		if a.Code != 201 {
			return a.Body
		}
		if err := json.Unmarshal([]byte(a.Body), &got); err != nil {
			t.Fatal(err)
		}
		return ""
	})
	want := authenticationv1.UserInfo{Username: "system:bootstrap:abc123", Groups: []string{"system:bootstrappers", "system:bootstrappers:workers", "system:authenticated"}}
	if diff := cmp.Diff(want, got.Status.UserInfo); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
	for _, token := range []string{"abc123.0123456789abcdee", "abc124.0123456789abcdef", "abc123.", "abc123.0123456789ABCDEF"} {
		if a := self(token); a.Code != 401 {
			t.Errorf("%s: %d %s, want 401", token, a.Code, a.Body)
		}
	}
	review := func(token string, audiences ...string) (s authenticationv1.TokenReviewStatus) {
		r, err := c.Clientset(c.Admin).AuthenticationV1().TokenReviews().Create(t.Context(),
			&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return r.Status
	}
	if s := review(bootstrapToken); !s.Authenticated || s.User.Username != want.Username || !slices.Equal(s.Audiences, []string{"https://kubernetes.default.svc"}) {
		t.Errorf("the review says %+v", s)
	}
	if s := review(bootstrapToken, "other"); s.Authenticated {
		t.Errorf("for another audience the review says %+v", s)
	}
	if s := review("abc123.0123456789abcdee"); s.Authenticated || s.Error != "invalid bearer token" {
		t.Errorf("of a wrong secret part the review says %+v", s)
	}
	c.Put(core.Secret, "kube-system", "bootstrap-token-abc123", func(obj schema.Object) {
		obj.(*corev1.Secret).Data["expiration"] = []byte(time.Now().Add(-time.Second).Format(time.RFC3339))
	})
	c.Until(func() string {
		if a := self(bootstrapToken); a.Code != 401 {
			return "the end of a token that has expired"
		}
		return ""
	})
}

// BenchmarkBootstrapToken is a request with a bootstrap token that its user may make, without the connection.
func BenchmarkBootstrapToken(b *testing.B) {
	c := gatewaytest.New(b)
	makeBootstrapToken(c)
	c.UntilCode(c.Client(), 200, "GET", "/version", "", "Authorization: Bearer "+bootstrapToken)
	r := httptest.NewRequest("GET", "/version", nil)
	r.Header.Set("Authorization", "Bearer "+bootstrapToken)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		if c.Handler.ServeHTTP(w, r); w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
}
