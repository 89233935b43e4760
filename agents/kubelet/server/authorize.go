package server

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Reviews answer who has a token, and what users may do: a gateway.
type Reviews interface {
	// PostPath returns the answer to a POST of a JSON body.
	PostPath(ctx context.Context, path string, body []byte) ([]byte, error)
}

// Who may use all of the server: the common name of gateways' certificates, and the organisation of administrators.
const (
	gatewayName = "gantry-gateway"
	mastersOrg  = "system:masters"
)

// reviewed are the paths that others may GET or POST, with the subresource of nodes that they need permission for.
var reviewed = map[string]string{"/metrics": "metrics", "/metrics/resource": "metrics", "/metrics/cadvisor": "metrics", "/stats/summary": "stats"}

// authorised serves who may use the server.
func (s *server) authorised(next http.Handler) http.Handler {
	known := &callers{reviews: s.cfg.Reviews, node: s.cfg.Node, users: map[[sha256.Size]byte]answer[*authenticationv1.UserInfo]{}, may: map[string]answer[bool]{}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user := certified(r)
		if user != nil && (user.Username == gatewayName || slices.Contains(user.Groups, mastersOrg)) {
			next.ServeHTTP(w, r)
			return
		}
		subresource := reviewed[r.URL.Path]
		token, bears := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if user == nil && bears && subresource != "" && s.cfg.Reviews != nil {
			var err error
			if user, err = known.bearer(r.Context(), token); err != nil {
				s.cfg.Log.Warn("reviewing a token failed", "agent", "kubelet", "err", err)
			}
		}
		switch {
		case user == nil:
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		case subresource == "" || s.cfg.Reviews == nil:
			http.Error(w, fmt.Sprintf("Forbidden (user=%s, verb=%s, path=%s)", user.Username, r.Method, r.URL.Path), http.StatusForbidden)
			return
		}
		verb := map[string]string{http.MethodGet: "get", http.MethodHead: "get", http.MethodPost: "create"}[r.Method]
		allowed, err := known.allowed(r.Context(), user, verb, subresource)
		switch {
		case err != nil:
			s.cfg.Log.Warn("reviewing a permission failed", "agent", "kubelet", "err", err)
			http.Error(w, fmt.Sprintf("Authorization error (user=%s, verb=%s, resource=nodes, subresource=%s)", user.Username, verb, subresource), http.StatusInternalServerError)
		case !allowed:
			http.Error(w, fmt.Sprintf("Forbidden (user=%s, verb=%s, resource=nodes, subresource(s)=[%s])", user.Username, verb, subresource), http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// certified is the user of a request's verified certificate; nil where there is none.
func certified(r *http.Request) *authenticationv1.UserInfo {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.VerifiedChains[0]) == 0 {
		return nil
	}
	who := r.TLS.VerifiedChains[0][0].Subject
	return &authenticationv1.UserInfo{Username: who.CommonName, Groups: append(slices.Clone(who.Organization), "system:authenticated")}
}

// How long answers of reviews are used, as in Kubernetes, and how many are kept.
const (
	tokenTime  = 2 * time.Minute
	allowTime  = 5 * time.Minute
	denyTime   = 30 * time.Second
	maxAnswers = 1000
)

// callers are the users who called lately, with what they may do.
type callers struct {
	reviews Reviews
	node    string

	mu    sync.Mutex // guards what follows
	users map[[sha256.Size]byte]answer[*authenticationv1.UserInfo]
	may   map[string]answer[bool]
}

// answer is that of a review.
type answer[T any] struct {
	value T
	until time.Time
}

// bearer is the user who has a token; nil where nobody has.
func (c *callers) bearer(ctx context.Context, token string) (*authenticationv1.UserInfo, error) {
	key := sha256.Sum256([]byte(token))
	c.mu.Lock()
	user, ok := lookUp(c.users, key)
	c.mu.Unlock()
	if ok {
		return user, nil
	}
	review := authenticationv1.TokenReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authentication.k8s.io/v1", Kind: "TokenReview"}, Spec: authenticationv1.TokenReviewSpec{Token: token},
	}
	if err := c.review(ctx, "/apis/authentication.k8s.io/v1/tokenreviews", &review); err != nil || !review.Status.Authenticated {
		return nil, err
	}
	user = &review.Status.User
	c.mu.Lock()
	defer c.mu.Unlock()
	remember(c.users, key, user, tokenTime)
	return user, nil
}

// allowed tells whether a user may do something with a subresource of the node.
func (c *callers) allowed(ctx context.Context, user *authenticationv1.UserInfo, verb, subresource string) (bool, error) {
	review := authorizationv1.SubjectAccessReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SubjectAccessReview"},
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user.Username, Groups: user.Groups, UID: user.UID, Extra: map[string]authorizationv1.ExtraValue{},
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Version: "v1", Resource: "nodes", Subresource: subresource, Name: c.node},
		},
	}
	for name, values := range user.Extra {
		review.Spec.Extra[name] = authorizationv1.ExtraValue(values)
	}
	asked, err := json.Marshal(review.Spec)
	if err != nil {
		return false, err
	}
	key := string(asked)
	c.mu.Lock()
	allowed, ok := lookUp(c.may, key)
	c.mu.Unlock()
	if ok {
		return allowed, nil
	}
	if err := c.review(ctx, "/apis/authorization.k8s.io/v1/subjectaccessreviews", &review); err != nil {
		return false, err
	}
	allowed = review.Status.Allowed && !review.Status.Denied
	after := denyTime
	if allowed {
		after = allowTime
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	remember(c.may, key, allowed, after)
	return allowed, nil
}

// review has a review answered.
func (c *callers) review(ctx context.Context, path string, review any) error {
	body, err := json.Marshal(review)
	if err != nil {
		return err
	}
	data, err := c.reviews.PostPath(ctx, path, body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, review); err != nil {
		return errors.New("the answer to a review is none")
	}
	return nil
}

func lookUp[K comparable, T any](answers map[K]answer[T], key K) (value T, ok bool) {
	a, ok := answers[key]
	if !ok || time.Now().After(a.until) {
		return value, false
	}
	return a.value, true
}

// remember keeps an answer for a while. Where too many are kept, all are forgotten.
func remember[K comparable, T any](answers map[K]answer[T], key K, value T, d time.Duration) {
	if len(answers) >= maxAnswers {
		clear(answers)
	}
	answers[key] = answer[T]{value, time.Now().Add(d)}
}
