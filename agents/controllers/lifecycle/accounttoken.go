package lifecycle

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/controllers/controller"
	"gantry/agents/internal/loop"
	"gantry/agents/internal/signtoken"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

// accountTokens fills Secrets of type kubernetes.io/service-account-token and deletes them with their account. Its keys
// are those of secretKey and accountKey.
type accountTokens struct {
	*controller.Env
	signer *signtoken.Signer
	// rootCA is the PEM bundle that goes into the Secrets beside the token; may be empty.
	rootCA []byte
}

// secretKey has what is needed when the Secret is gone: "secret <namespace> <name> <uid> <account> <uid of the account>", the last
// empty where the Secret does not say it yet.
func secretKey(s *corev1.Secret) string {
	return strings.Join([]string{"secret", s.Namespace, s.Name, string(s.UID), s.Annotations[corev1.ServiceAccountNameKey], s.Annotations[corev1.ServiceAccountUIDKey]}, " ")
}

// accountKey is "account <namespace> <name> <uid>".
func accountKey(a *corev1.ServiceAccount) string {
	return strings.Join([]string{"account", a.Namespace, a.Name, string(a.UID)}, " ")
}

// NewServiceAccountToken fills Secrets with tokens signed with key, of which nil leaves them as they are, and the bundle rootCA.
func NewServiceAccountToken(key crypto.Signer, rootCA []byte) func(*controller.Env) controller.Reconciler {
	return func(e *controller.Env) controller.Reconciler {
		if key == nil {
			return controller.Idle()
		}
		signer, err := signtoken.New(key)
		if err != nil {
			panic("controllers: a key that Validate refuses: " + err.Error())
		}
		c := accountTokens{e, signer, rootCA}
		return controller.Reconciler{Reconcile: c.reconcile, Watches: []controller.Watch{{Kind: core.Secret, Keys: c.onSecret}, {Kind: core.ServiceAccount, Keys: c.onAccount}}}
	}
}

func isAccountToken(s *corev1.Secret) bool {
	return s.Type == corev1.SecretTypeServiceAccountToken && s.Annotations[corev1.ServiceAccountNameKey] != ""
}

func (c accountTokens) onSecret(old, current schema.Object) {
	for _, obj := range []schema.Object{old, current} {
		if s, ok := obj.(*corev1.Secret); ok && s != nil && isAccountToken(s) {
			c.Enqueue(secretKey(s), 0)
		}
	}
}

// onAccount enqueues an account that was deleted, perhaps with another one in its place.
func (c accountTokens) onAccount(old, current schema.Object) {
	if old != nil && (current == nil || current.GetUID() != old.GetUID()) {
		c.Enqueue(accountKey(old.(*corev1.ServiceAccount)), 0)
	}
}

func (c accountTokens) reconcile(ctx context.Context, key string) (time.Duration, error) {
	f := append(strings.Split(key, " "), "", "")
	var err error
	if f[0] == "account" {
		err = c.deleteTokensOf(ctx, f[1], f[2], types.UID(f[3]))
	} else {
		err = c.syncSecret(ctx, f[1], f[2], types.UID(f[3]), f[4], types.UID(f[5]))
	}
	if errors.Is(err, registry.NotFound) {
		return 0, nil // what was to be changed was deleted
	}
	if errors.Is(err, registry.Invalid) { // an immutable Secret
		return 0, loop.Terminal(err)
	}
	return 0, err
}

// deleteTokensOf deletes the tokens of an account that does not exist any more.
func (c accountTokens) deleteTokensOf(ctx context.Context, ns, name string, uid types.UID) error {
	account, err := c.account(ctx, ns, name, uid, false)
	if err != nil || account != nil {
		return err
	}
	all, err := registry.For[*corev1.Secret](c.Registry).CachedList(ctx, ns, "")
	if err != nil {
		return err
	}
	var plan []controller.Action
	for _, s := range all {
		if isAccountToken(s) && s.Annotations[corev1.ServiceAccountNameKey] == name && s.Annotations[corev1.ServiceAccountUIDKey] == string(uid) {
			plan = append(plan, deleteToken(s))
		}
	}
	return c.Execute(ctx, plan)
}

func deleteToken(s *corev1.Secret) controller.Action {
	return controller.Action{Do: controller.Delete, Kind: core.Secret, Object: s, Reason: "its service account is gone", DeleteOptions: registry.DeleteOptions{Propagation: "Background"}}
}

// syncSecret fills a Secret, or deletes it where its account does not exist. The name of a Secret that does not exist is removed from its
// account.
func (c accountTokens) syncSecret(ctx context.Context, ns, name string, uid types.UID, accountName string, accountUID types.UID) error {
	s, err := registry.For[*corev1.Secret](c.Registry).Cached(ctx, ns, name)
	if err != nil && !errors.Is(err, registry.NotFound) {
		return err
	}
	exists := err == nil && s.UID == uid
	account, err := c.account(ctx, ns, accountName, accountUID, exists)
	switch {
	case err != nil:
		return err
	case !exists && account != nil:
		return c.Execute(ctx, planUnreference(account, name))
	case !exists || s.DeletionTimestamp != nil || !isAccountToken(s):
		return nil
	case s.Annotations[corev1.ServiceAccountNameKey] != accountName || s.Annotations[corev1.ServiceAccountUIDKey] != string(accountUID):
		return nil // its annotations have changed since: they have a key of their own
	case account == nil:
		return c.Execute(ctx, []controller.Action{deleteToken(s)})
	}
	plan, err := c.planToken(s, account)
	if err != nil {
		return err
	}
	return c.Execute(ctx, plan)
}

// account returns the account of a name, and uid where that is not empty; nil where there is none. live: only a consistent read
// counts as evidence that there is none.
func (c accountTokens) account(ctx context.Context, ns, name string, uid types.UID, live bool) (*corev1.ServiceAccount, error) {
	accounts := registry.For[*corev1.ServiceAccount](c.Registry)
	a, err := accounts.Cached(ctx, ns, name)
	if live && (errors.Is(err, registry.NotFound) || err == nil && uid != "" && a.UID != uid) {
		a, err = accounts.Get(ctx, ns, name)
	}
	if errors.Is(err, registry.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("getting service account %s/%s: %w", ns, name, err)
	}
	if uid != "" && a.UID != uid {
		return nil, nil
	}
	return a, nil
}

// planToken completes a Secret: the cluster's CA, the namespace, the token, and the account's uid in an annotation.
func (c accountTokens) planToken(s *corev1.Secret, account *corev1.ServiceAccount) ([]controller.Action, error) {
	ca := c.rootCA
	needsCA := len(ca) > 0 && !bytes.Equal(s.Data[corev1.ServiceAccountRootCAKey], ca)
	needsNamespace, needsToken := len(s.Data[corev1.ServiceAccountNamespaceKey]) == 0, len(s.Data[corev1.ServiceAccountTokenKey]) == 0
	if !needsCA && !needsNamespace && !needsToken {
		return nil, nil
	}
	s = s.DeepCopy()
	if s.Data == nil {
		s.Data = map[string][]byte{}
	}
	if needsCA {
		s.Data[corev1.ServiceAccountRootCAKey] = ca
	}
	if needsNamespace {
		s.Data[corev1.ServiceAccountNamespaceKey] = []byte(s.Namespace)
	}
	if needsToken {
		text, err := c.signer.Sign(signtoken.Legacy(account, s))
		if err != nil {
			return nil, err
		}
		s.Data[corev1.ServiceAccountTokenKey] = []byte(text)
	}
	s.Annotations[corev1.ServiceAccountUIDKey] = string(account.UID)
	return []controller.Action{{Do: controller.Update, Kind: core.Secret, Object: s, Reason: "a service account's token needs its data"}}, nil
}

// planUnreference removes the name of a Secret that does not exist from its account.
func planUnreference(account *corev1.ServiceAccount, secret string) []controller.Action {
	named := func(r corev1.ObjectReference) bool { return r.Name == secret }
	if !slices.ContainsFunc(account.Secrets, named) {
		return nil
	}
	a := account.DeepCopy()
	a.Secrets = slices.DeleteFunc(a.Secrets, named)
	return []controller.Action{{Do: controller.Update, Kind: core.ServiceAccount, Object: a, Reason: "the token " + secret + " is gone"}}
}
