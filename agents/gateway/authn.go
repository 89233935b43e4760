package gateway

import (
	"context"
	"net/http"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Names and groups that mean something to the API.
const (
	groupMasters         = "system:masters"
	groupNodes           = "system:nodes"
	groupAuthenticated   = "system:authenticated"
	groupUnauthenticated = "system:unauthenticated"
	groupServiceAccounts = "system:serviceaccounts"
	userAnonymous        = "system:anonymous"
	prefixNode           = "system:node:"
	prefixServiceAccount = "system:serviceaccount:"
)

// authenticate says who asks: by client certificate, by bearer token, or nobody in particular where that is
// enough. Credentials that do not hold are refused, never ignored.
func (g *gateway) authenticate(r *request) error {
	user, known, err := g.identify(r.Context(), r.Request)
	switch {
	case err != nil:
		g.cfg.Log.Debug("credentials refused", "path", r.path, "err", err)
		return apierrors.NewUnauthorized("Unauthorized")
	case known:
		r.user = user
	case anonymousPath(r.path) && !r.resource:
		r.user = authenticationv1.UserInfo{Username: userAnonymous, Groups: []string{groupUnauthenticated}}
	default:
		return apierrors.NewUnauthorized("Unauthorized")
	}
	return g.impersonate(r)
}

// identify finds the user that a request's credentials name; known is false where there are none.
func (g *gateway) identify(ctx context.Context, req *http.Request) (user authenticationv1.UserInfo, known bool, err error) {
	if req.TLS != nil && len(req.TLS.PeerCertificates) > 0 {
		user, err = peerOf(ctx).verify(req.TLS.PeerCertificates, g.cfg.ClientCAs)
		if err == nil {
			return withGroup(user, groupAuthenticated), true, nil
		}
	}
	token, ok := bearer(req)
	if !ok {
		return user, false, err
	}
	user, err = g.verifyToken(ctx, token)
	if err != nil {
		return user, false, err
	}
	return withGroup(user, groupAuthenticated), true, nil
}

// bearer is the token of an Authorization header.
func bearer(req *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(strings.TrimSpace(req.Header.Get("Authorization")), " ")
	if !ok || !strings.EqualFold(scheme, "bearer") {
		return "", false
	}
	token = strings.TrimSpace(token)
	return token, token != ""
}

func withGroup(u authenticationv1.UserInfo, group string) authenticationv1.UserInfo {
	if !slices.Contains(u.Groups, group) {
		u.Groups = append(slices.Clone(u.Groups), group)
	}
	return u
}

// anonymousPath tells what anybody may read: health, and the version as Kubernetes' public-info-viewer may.
func anonymousPath(path string) bool {
	return isHealth(path) || path == "/version" || path == "/version/"
}
