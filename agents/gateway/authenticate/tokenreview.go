package authenticate

import (
	"errors"
	"net/http"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/gateway/decode"
	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/agents/gateway/userinfo"
)

// ReviewToken answers with the user of a token.
func (n *Authenticator) ReviewToken(w http.ResponseWriter, r *request.Request) error {
	obj, err := decode.Review(w, r)
	if err != nil {
		return err
	}
	review := obj.(*authenticationv1.TokenReview)
	if review.Spec.Token == "" {
		return apierrors.NewBadRequest("token is required for TokenReview in authentication")
	}
	audiences := review.Spec.Audiences
	if len(audiences) == 0 {
		audiences = []string{n.Tokens.issuer}
	}
	if strings.TrimSpace(review.Spec.Token) == "" { // as a header it would be none
		review.Status = authenticationv1.TokenReviewStatus{
			Authenticated: true, Audiences: audiences,
			User: authenticationv1.UserInfo{Username: userinfo.UserAnonymous, Groups: []string{userinfo.GroupUnauthenticated}},
		}
		return encode.Object(w, r, http.StatusCreated, review)
	}
	user, held, err := n.readToken(r.Context(), review.Spec.Token, audiences)
	review.Status.Authenticated = err == nil
	if err != nil {
		review.Status.Error = reviewError(err)
	} else {
		review.Status.User = userinfo.WithGroup(user, userinfo.GroupAuthenticated)
		review.Status.Audiences = held
	}
	return encode.Object(w, r, http.StatusCreated, review)
}

// reviewError is what is told of a token: nothing of one that this API did not issue.
func reviewError(err error) string {
	if errors.Is(err, errForeignToken) {
		return "invalid bearer token"
	}
	return "[invalid bearer token, " + err.Error() + "]"
}

// ReviewSelf answers with the user of the request, and with nothing that was sent.
func (n *Authenticator) ReviewSelf(w http.ResponseWriter, r *request.Request) error {
	if _, err := decode.Review(w, r); err != nil {
		return err
	}
	answer := &authenticationv1.SelfSubjectReview{
		ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(time.Now())},
		Status:     authenticationv1.SelfSubjectReviewStatus{UserInfo: r.User},
	}
	answer.SetGroupVersionKind(r.Kind.GVK())
	return encode.Object(w, r, http.StatusCreated, answer)
}
