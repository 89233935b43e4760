package authenticate

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/internal/signtoken"
	"gantry/registry"
	"gantry/schema/core"
)

// readLegacy verifies the signature and the issuer of a token that is in a Secret. Its audience is this API.
func (t *tokens) readLegacy(text string) (*claims, error) {
	l := &signtoken.LegacyClaims{}
	if _, err := jwt.ParseWithClaims(text, l, t.key, validMethods, jwt.WithIssuer(signtoken.LegacyIssuer), jwt.WithLeeway(0)); err != nil {
		return nil, err
	}
	if l.Secret == "" || l.UID == "" {
		return nil, errors.New("secretName or serviceAccountUID claim is missing")
	}
	c := &claims{RegisteredClaims: l.RegisteredClaims, legacySecret: l.Secret}
	c.Audience = jwt.ClaimStrings{t.issuer}
	c.Kubernetes = boundClaims{Namespace: l.Namespace, ServiceAccount: objRef{Name: l.ServiceAccount, UID: l.UID}}
	return c, nil
}

// checkLegacy returns an error unless the Secret that a token names contains it. The cache is asked first, etcd where the cache
// does not have it.
func (n *Authenticator) checkLegacy(ctx context.Context, c *claims, text string) error {
	invalid := errors.New("Token has been invalidated") //lint:ignore ST1005 the client sees this sentence as Kubernetes writes it
	for _, revision := range []string{"0", ""} {
		item, err := n.Registry.Get(ctx, core.Secret, c.Kubernetes.Namespace, c.legacySecret, revision)
		switch {
		case errors.Is(err, registry.NotFound):
			continue
		case err != nil:
			return err
		}
		secret := item.Object().(*corev1.Secret)
		switch {
		case secret.DeletionTimestamp != nil:
			return invalid
		case subtle.ConstantTimeCompare(secret.Data[corev1.ServiceAccountTokenKey], []byte(text)) != 1:
			invalid = errors.New("Token does not match server's copy") //lint:ignore ST1005 the client sees this sentence as Kubernetes writes it
			continue
		case secret.Labels[InvalidSince] != "":
			return fmt.Errorf("the token in secret %s/%s for service account %s/%s has been marked invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, "+
				"or remove the '%s' label from the secret to temporarily allow use of this token",
				secret.Namespace, secret.Name, secret.Namespace, c.Kubernetes.ServiceAccount.Name, InvalidSince)
		}
		return nil
	}
	return invalid
}

// InvalidSince is the label of a Secret whose token is not to be used any more.
const InvalidSince = "kubernetes.io/legacy-token-invalid-since"
