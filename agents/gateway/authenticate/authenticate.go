package authenticate

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/agents/gateway/authorize"
	"gantry/agents/gateway/request"
	"gantry/agents/gateway/userinfo"
	"gantry/registry"
	"gantry/registry/admit"
	"gantry/schema"
)

// Authenticator finds the user of a request.
type Authenticator struct {
	Registry   reader
	Authorizer authorize.Authorizer // is asked for impersonation and anonymous requests
	Tokens     *tokens
	Anonymous  Anonymous
	ClientCAs  *x509.CertPool
	Advertised func() netip.AddrPort // where others reach this gateway: "10.0.0.1:6443"
	Log        *slog.Logger
}

// reader is what is read of the registry to check what a token is bound to.
type reader interface {
	Get(ctx context.Context, k *schema.Kind, namespace, name, revision string) (*registry.Item, error)
	Admit(ctx context.Context, op admit.Operation, k *schema.Kind, namespace, name string, body runtime.Object, check func() error, o registry.WriteOptions) error
}

// Authenticate sets the request's user: that of its client certificate, of its bearer token, or the anonymous one where that
// may do what is asked; then the one it impersonates. Credentials that are not valid are refused, never ignored.
func (n *Authenticator) Authenticate(r *request.Request) error {
	user, known, err := n.identify(r.Context(), r.Request)
	switch {
	case err != nil:
		n.Log.Debug("credentials refused", "path", r.Path, "err", err)
		return apierrors.NewUnauthorized("Unauthorized")
	case known:
		r.User = user
	case !n.Anonymous.allows(r.Path):
		return apierrors.NewUnauthorized("Unauthorized")
	default:
		r.User = authenticationv1.UserInfo{Username: userinfo.UserAnonymous, Groups: []string{userinfo.GroupUnauthenticated}}
		if d, _, _ := n.Authorizer.Authorize(r.Context(), authorize.AttributesOf(r)); d != authorize.Allowed {
			return apierrors.NewUnauthorized("Unauthorized")
		}
	}
	return n.impersonate(r)
}

// identify finds the user that a request's credentials name; known is false where there are none.
func (n *Authenticator) identify(ctx context.Context, req *http.Request) (user authenticationv1.UserInfo, known bool, err error) {
	if req.TLS != nil && len(req.TLS.PeerCertificates) > 0 {
		user, err = peerOf(ctx).verify(req.TLS.PeerCertificates, n.ClientCAs)
		if err == nil {
			return userinfo.WithGroup(user, userinfo.GroupAuthenticated), true, nil
		}
	}
	token, ok := bearer(req)
	if !ok {
		return user, false, err
	}
	user, err = n.verifyToken(ctx, token)
	if err != nil {
		return user, false, err
	}
	return userinfo.WithGroup(user, userinfo.GroupAuthenticated), true, nil
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
