package gateway

import (
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// reviewToken says whom a token names.
func (n *authenticator) reviewToken(w http.ResponseWriter, r *request) error {
	obj, err := readReview(w, r)
	if err != nil {
		return err
	}
	review := obj.(*authenticationv1.TokenReview)
	if review.Spec.Token == "" {
		return apierrors.NewBadRequest("token is required for TokenReview in authentication")
	}
	audiences := review.Spec.Audiences
	if len(audiences) == 0 {
		audiences = []string{n.tokens.issuer}
	}
	user, held, err := n.readToken(r.Context(), review.Spec.Token, audiences)
	review.Status = authenticationv1.TokenReviewStatus{}
	if err != nil {
		review.Status.Error = "[invalid bearer token, " + err.Error() + "]"
	} else {
		review.Status.Authenticated = true
		review.Status.User = withGroup(user, groupAuthenticated)
		review.Status.Audiences = held
	}
	return sendObject(w, r, http.StatusCreated, review)
}

// reviewSelf says who asks.
func (n *authenticator) reviewSelf(w http.ResponseWriter, r *request) error {
	obj, err := readReview(w, r)
	if err != nil {
		return err
	}
	review := obj.(*authenticationv1.SelfSubjectReview)
	review.Status = authenticationv1.SelfSubjectReviewStatus{UserInfo: r.user}
	return sendObject(w, r, http.StatusCreated, review)
}
