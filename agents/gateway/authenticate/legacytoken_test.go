package authenticate_test

import (
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/gateway/authenticate"
	"gantry/agents/gateway/gatewaytest"
	"gantry/agents/internal/pki"
	"gantry/agents/internal/signtoken"
)

// TestTokensInSecrets checks that a token in a Secret does not expire, and is valid while its account exists and the Secret has it.
func TestTokensInSecrets(t *testing.T) {
	c := gatewaytest.New(t)
	admin := c.Clientset(c.Admin)
	key, err := pki.SigningKey(filepath.Join(c.Dir, "sa.key"), false)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := signtoken.New(key)
	if err != nil {
		t.Fatal(err)
	}
	account, err := admin.CoreV1().ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "key", Namespace: "default", Annotations: map[string]string{corev1.ServiceAccountNameKey: "robot"}},
		Type:       corev1.SecretTypeServiceAccountToken,
	}
	token, err := signer.Sign(signtoken.Legacy(account, secret))
	if err != nil {
		t.Fatal(err)
	}
	review := func(audiences ...string) authenticationv1.TokenReviewStatus {
		t.Helper()
		r, err := admin.AuthenticationV1().TokenReviews().Create(t.Context(), &authenticationv1.TokenReview{
			Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return r.Status
	}
	refused := func(why string) {
		t.Helper()
		if s := review(); s.Authenticated || !strings.Contains(s.Error, why) {
			t.Errorf("the review says %+v, want %q", s, why)
		}
	}
	refused("Token has been invalidated")
	secret.Data = map[string][]byte{"token": []byte("another")}
	if secret, err = admin.CoreV1().Secrets("default").Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	refused("Token does not match server's copy")
	update := func(change func()) {
		t.Helper()
		change()
		if secret, err = admin.CoreV1().Secrets("default").Update(t.Context(), secret, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	update(func() { secret.Data = map[string][]byte{"token": []byte(token)} })
	if s := review(); !s.Authenticated || s.User.Username != "system:serviceaccount:default:robot" || s.User.UID != string(account.UID) || len(s.User.Extra) != 0 {
		t.Errorf("the review says %+v", s)
	}
	if s := review("other"); s.Authenticated {
		t.Error("the token holds for another audience")
	}
	if a := c.Do(c.Client(), "GET", "/api", "", "Authorization: Bearer "+token); a.Code != 200 {
		t.Errorf("the token gets %d %s", a.Code, a.Body)
	}
	update(func() { secret.Labels = map[string]string{authenticate.InvalidSince: "2026-01-01"} })
	refused("has been marked invalid")
	update(func() { secret.Labels = nil })
	if err := admin.CoreV1().ServiceAccounts("default").Delete(t.Context(), "robot", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	refused("does not exist")
}
