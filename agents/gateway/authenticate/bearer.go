package authenticate

import (
	"context"
	"errors"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/gateway/userinfo"
	"gantry/agents/internal/bootstraptoken"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

// verifyToken returns the user of a token whose audience is this API.
func (n *Authenticator) verifyToken(ctx context.Context, text string) (authenticationv1.UserInfo, error) {
	user, _, err := n.readToken(ctx, text, []string{n.Tokens.issuer})
	return user, err
}

// readToken returns the user of a token and which of audiences it has.
func (n *Authenticator) readToken(ctx context.Context, text string, audiences []string) (user authenticationv1.UserInfo, held []string, err error) {
	if t, ok := bootstraptoken.Parse(text); ok {
		return n.readBootstrapToken(ctx, t, audiences)
	}
	return n.readAccountToken(ctx, text, audiences)
}

// readAccountToken is readToken for a service account's token. Everything that it is bound to must exist: the account, its pod, node or secret,
// each under the uid in the token.
func (n *Authenticator) readAccountToken(ctx context.Context, text string, audiences []string) (user authenticationv1.UserInfo, held []string, err error) {
	c, err := n.Tokens.read(text, audiences)
	if err != nil {
		return user, nil, err
	}
	b := c.Kubernetes
	if err := n.checkBound(ctx, core.ServiceAccount, b.Namespace, b.ServiceAccount); err != nil {
		return user, nil, err
	}
	if c.legacySecret != "" {
		if err := n.checkLegacy(ctx, c, text); err != nil {
			return user, nil, err
		}
	}
	user = authenticationv1.UserInfo{
		Username: c.Subject, UID: b.ServiceAccount.UID,
		Groups: []string{userinfo.GroupServiceAccounts, userinfo.GroupServiceAccounts + ":" + b.Namespace},
		Extra:  map[string]authenticationv1.ExtraValue{},
	}
	if c.ID != "" {
		user.Extra["authentication.kubernetes.io/credential-id"] = authenticationv1.ExtraValue{"JTI=" + c.ID}
	}
	for _, bound := range []struct {
		ref       *objRef
		kind      *schema.Kind
		namespace string
		extra     string
	}{
		{b.Pod, core.Pod, b.Namespace, "authentication.kubernetes.io/pod"},
		{b.Node, core.Node, "", "authentication.kubernetes.io/node"},
		{b.Secret, core.Secret, b.Namespace, ""},
	} {
		if bound.ref == nil {
			continue
		}
		// A pod's token also names its node, which may be deleted before the pod: the token stays valid.
		if bound.kind != core.Node || b.Pod == nil {
			if err := n.checkBound(ctx, bound.kind, bound.namespace, *bound.ref); err != nil {
				return user, nil, err
			}
		}
		if bound.extra != "" {
			user.Extra[bound.extra+"-name"] = authenticationv1.ExtraValue{bound.ref.Name}
			user.Extra[bound.extra+"-uid"] = authenticationv1.ExtraValue{bound.ref.UID}
		}
	}
	for _, a := range audiences {
		for _, mine := range c.Audience {
			if a == mine {
				held = append(held, a)
			}
		}
	}
	return user, held, nil
}

// deletedLeeway is how long a token stays valid after the deletionTimestamp of what it is bound to.
const deletedLeeway = time.Minute

// checkBound returns an error unless an object with this name and uid exists whose deletionTimestamp is at most deletedLeeway ago.
// The cache is asked first, etcd where the cache does not have it.
func (n *Authenticator) checkBound(ctx context.Context, k *schema.Kind, namespace string, ref objRef) error {
	for _, revision := range []string{"0", ""} {
		item, err := n.Registry.Get(ctx, k, namespace, ref.Name, revision)
		switch {
		case errors.Is(err, registry.NotFound):
		case err != nil:
			return err
		case item.UID() != ref.UID:
		case item.Deleting() && item.Object().GetDeletionTimestamp().Before(&metav1.Time{Time: time.Now().Add(-deletedLeeway)}):
			return fmt.Errorf("reading a token: %s %s/%s has been deleted", k.Singular, namespace, ref.Name)
		default:
			return nil
		}
	}
	return fmt.Errorf("reading a token: %s %s/%s with uid %s does not exist", k.Singular, namespace, ref.Name, ref.UID)
}
