package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"
)

// fakeReviews is a gateway that knows the tokens of prometheus and of nobody, and lets prometheus and the certificate of a scraper get metrics.
type fakeReviews struct {
	mu    sync.Mutex // guards what follows
	down  bool
	asked []string // kinds of reviews
}

func (f *fakeReviews) PostPath(_ context.Context, path string, body []byte) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kind := path[strings.LastIndex(path, "/")+1:]
	f.asked = append(f.asked, kind)
	if f.down {
		return nil, errors.New("the gateway is down")
	}
	if kind == "tokenreviews" {
		var r authenticationv1.TokenReview
		if err := json.Unmarshal(body, &r); err != nil {
			return nil, err
		}
		if name, ok := strings.CutSuffix(r.Spec.Token, "'s token"); ok {
			r.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: name, Extra: map[string]authenticationv1.ExtraValue{"a": {"b"}}}}
		}
		return json.Marshal(r)
	}
	var r authorizationv1.SubjectAccessReview
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, err
	}
	a := r.Spec.ResourceAttributes
	inGroup := r.Spec.User == "scraper" && len(r.Spec.Groups) == 1 && r.Spec.Groups[0] == "system:authenticated"
	r.Status.Allowed = (r.Spec.User == "prometheus" && r.Spec.Extra["a"][0] == "b" || inGroup) && a.Verb == "get" && a.Resource == "nodes" && a.Subresource == "metrics" && a.Name == testNode
	return json.Marshal(r)
}

func (f *fakeReviews) fail(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

func TestOthersReadMetrics(t *testing.T) {
	n := newNode(t, 0)
	bearer := func(token string) *rest.Config {
		return &rest.Config{Host: n.URL, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	}
	for _, tt := range []struct {
		who  string
		as   *rest.Config
		path string
		code int
		want string
	}{
		{"a token that is permitted", bearer("prometheus's token"), "/metrics/resource", 200, "resource_scrape_error 0"},
		{"a token that is permitted", bearer("prometheus's token"), "/metrics", 200, "go_goroutines"},
		{"a token for something else", bearer("prometheus's token"), "/stats/summary", 403, "Forbidden (user=prometheus, verb=get, resource=nodes, subresource(s)=[stats])"},
		{"a token for something else", bearer("prometheus's token"), "/pods", 401, "Unauthorized"},
		{"a token for something else", bearer("prometheus's token"), "/exec/default/web/web?command=id&output=1", 401, "Unauthorized"},
		{"a token for something else", bearer("prometheus's token"), "/metrics/../pods", 401, "Unauthorized"},
		{"a token for something else", bearer("prometheus's token"), "/metrics%2F..%2Fpods", 401, "Unauthorized"},
		{"a token without permission", bearer("nobody's token"), "/metrics", 403, "user=nobody"},
		{"an unknown token", bearer("something"), "/metrics", 401, "Unauthorized"},
		{"the name of the gateway in a token", bearer("gantry-gateway's token"), "/metrics", 403, "user=gantry-gateway"},
		{"a certificate that is permitted", n.as("scraper"), "/metrics/resource", 200, "resource_scrape_error 0"},
		{"a certificate for something else", n.as("scraper"), "/pods", 403, "Forbidden (user=scraper, verb=GET, path=/pods)"},
		{"a certificate without permission", n.as("somebody"), "/metrics", 403, "user=somebody"},
		{"nobody", bearer(""), "/metrics", 401, "Unauthorized"},
	} {
		if code, body := n.get(tt.as, tt.path); code != tt.code || !strings.Contains(body, tt.want) {
			t.Errorf("%s, %s: %d %s, want %d %s", tt.who, tt.path, code, body, tt.code, tt.want)
		}
	}
	n.reviews.fail(true)
	if code, _ := n.get(bearer("another's token"), "/metrics"); code != http.StatusUnauthorized {
		t.Errorf("an unknown token without a gateway: %d", code)
	}
	if code, body := n.get(n.as("another"), "/metrics"); code != http.StatusInternalServerError || !strings.Contains(body, "Authorization error (user=another, verb=get, resource=nodes, subresource=metrics)") {
		t.Errorf("an unknown user without a gateway: %d %s", code, body)
	}
	for _, who := range []*rest.Config{bearer("prometheus's token"), n.as("scraper"), n.as("gantry-gateway")} {
		if code, body := n.get(who, "/metrics/resource"); code != 200 {
			t.Errorf("one who is known, without a gateway: %d %s", code, body)
		}
	}
}

// Answers of reviews are used for a while: those that permit longer than those that do not.
func TestReviewsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeReviews{}
		c := &callers{reviews: f, node: testNode, users: map[[32]byte]answer[*authenticationv1.UserInfo]{}, may: map[string]answer[bool]{}}
		call := func(name string, want bool) {
			t.Helper()
			user, err := c.bearer(t.Context(), name+"'s token")
			if err != nil || user == nil {
				t.Fatal(user, err)
			}
			if got, err := c.allowed(t.Context(), user, "get", "metrics"); got != want || err != nil {
				t.Errorf("%s may: %v %v", name, got, err)
			}
		}
		for _, tt := range []struct {
			after time.Duration
			name  string
			want  bool
			asked string
		}{
			{0, "prometheus", true, "tokenreviews subjectaccessreviews"},
			{time.Minute, "prometheus", true, ""},
			{2 * time.Minute, "prometheus", true, "tokenreviews"},
			{3 * time.Minute, "prometheus", true, "tokenreviews subjectaccessreviews"},
			{0, "nobody", false, "tokenreviews subjectaccessreviews"},
			{time.Minute, "nobody", false, "subjectaccessreviews"},
		} {
			time.Sleep(tt.after)
			f.asked = nil
			call(tt.name, tt.want)
			if got := strings.Join(f.asked, " "); got != tt.asked {
				t.Errorf("%s after %s: asked for %q, want %q", tt.name, tt.after, got, tt.asked)
			}
		}
		for i := range 2 * maxAnswers {
			remember(c.may, strings.Repeat("x", i), true, time.Hour)
		}
		if len(c.may) > maxAnswers {
			t.Errorf("%d answers are kept", len(c.may))
		}
	})
}
