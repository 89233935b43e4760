package authenticate

import (
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

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
	user, held, err := n.readToken(r.Context(), review.Spec.Token, audiences)
	review.Status = authenticationv1.TokenReviewStatus{}
	if err != nil {
		review.Status.Error = "[invalid bearer token, " + err.Error() + "]"
	} else {
		review.Status.Authenticated = true
		review.Status.User = userinfo.WithGroup(user, userinfo.GroupAuthenticated)
		review.Status.Audiences = held
	}
	return encode.Object(w, r, http.StatusCreated, review)
}

// ReviewSelf answers with the user of the request.
func (n *Authenticator) ReviewSelf(w http.ResponseWriter, r *request.Request) error {
	obj, err := decode.Review(w, r)
	if err != nil {
		return err
	}
	review := obj.(*authenticationv1.SelfSubjectReview)
	review.Status = authenticationv1.SelfSubjectReviewStatus{UserInfo: r.User}
	return encode.Object(w, r, http.StatusCreated, review)
}
