package authenticate

import (
	"context"
	"fmt"
	"slices"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/internal/bootstraptoken"
	"gantry/schema/core"
)

// readBootstrapToken is readToken for a bootstrap token, which its Secret makes valid. The cache alone is asked: anybody can ask for any id.
// The token's audience is this API.
func (n *Authenticator) readBootstrapToken(ctx context.Context, t bootstraptoken.Token, audiences []string) (user authenticationv1.UserInfo, held []string, err error) {
	name := bootstraptoken.SecretName(t.ID)
	item, err := n.Registry.Get(ctx, core.Secret, bootstraptoken.Namespace, name, "0")
	if err != nil {
		return user, nil, fmt.Errorf("%w: %w", errForeignToken, err)
	}
	groups, err := bootstraptoken.Groups(item.Object().(*corev1.Secret), t, time.Now())
	if err != nil {
		return user, nil, fmt.Errorf("%w: secret %s: %w", errForeignToken, name, err)
	}
	if !slices.Contains(audiences, n.Tokens.issuer) {
		return user, nil, fmt.Errorf("%w: a bootstrap token is for this API alone", errForeignToken)
	}
	return authenticationv1.UserInfo{Username: bootstraptoken.UserPrefix + t.ID, Groups: groups}, []string{n.Tokens.issuer}, nil
}
