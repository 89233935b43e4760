package lifecycle_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/controllers"
	"gantry/agents/controllers/controllertest"
	"gantry/agents/internal/signtoken"
	"gantry/registry"
	"gantry/schema/core"
)

// tokenSecret asks for a token of an account.
func tokenSecret(name, account string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Secret
metadata: {namespace: default, name: %s, annotations: {kubernetes.io/service-account.name: %s}}
type: kubernetes.io/service-account-token
`, name, account)
}

const robot = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {namespace: default, name: robot}\nsecrets: [{name: key}, {name: other}]\n"

func startWithKey(t *testing.T) (*controllertest.Cluster, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := controllertest.Start(t, func(cfg *controllers.Config) { cfg.ServiceAccountKey = key })
	c.Ready()
	return c, key
}

// filled waits for a Secret's token and returns the Secret.
func filled(c *controllertest.Cluster, name string) (s *corev1.Secret) {
	c.T.Helper()
	c.Until(func() string {
		var ok bool
		if s, ok = controllertest.Get[*corev1.Secret](c, "default", name); !ok || len(s.Data["token"]) == 0 {
			return "the token in " + name
		}
		return ""
	}, core.Secret)
	return s
}

func goneSecret(c *controllertest.Cluster, name string) {
	c.T.Helper()
	c.Until(func() string {
		if _, ok := controllertest.Get[*corev1.Secret](c, "default", name); ok {
			return name + " to go"
		}
		return ""
	}, core.Secret)
}

func TestAccountTokensAreFilled(t *testing.T) {
	c, key := startWithKey(t)
	c.Apply(robot)
	account, _ := controllertest.Get[*corev1.ServiceAccount](c, "default", "robot")
	c.Apply(tokenSecret("key", "robot"))
	s := filled(c, "key")
	got := map[string]string{"uid": s.Annotations[corev1.ServiceAccountUIDKey], "ca.crt": string(s.Data["ca.crt"]), "namespace": string(s.Data["namespace"])}
	if diff := cmp.Diff(map[string]string{"uid": string(account.UID), "ca.crt": "the CA", "namespace": "default"}, got); diff != "" {
		t.Errorf("the Secret (-want +got):\n%s", diff)
	}
	claims := jwt.MapClaims{}
	if _, err := jwt.ParseWithClaims(string(s.Data["token"]), claims, func(*jwt.Token) (any, error) { return key.Public(), nil }); err != nil {
		t.Fatal(err)
	}
	want := jwt.MapClaims{
		"iss": signtoken.LegacyIssuer, "sub": "system:serviceaccount:default:robot",
		"kubernetes.io/serviceaccount/namespace": "default", "kubernetes.io/serviceaccount/secret.name": "key",
		"kubernetes.io/serviceaccount/service-account.name": "robot", "kubernetes.io/serviceaccount/service-account.uid": string(account.UID),
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	// What is removed from it is restored.
	_, err := registry.For[*corev1.Secret](c.Registry).Modify(c.Context, "default", "key", func(s *corev1.Secret) error {
		s.Data = map[string][]byte{"ca.crt": []byte("another"), "mine": []byte("x")}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := filled(c, "key"); string(s.Data["ca.crt"]) != "the CA" || string(s.Data["mine"]) != "x" || string(s.Data["namespace"]) != "default" {
		t.Errorf("the Secret has %q", s.Data)
	}
}

func TestAccountTokensGoWithTheirAccount(t *testing.T) {
	c, _ := startWithKey(t)
	c.Apply(robot)
	c.Apply(tokenSecret("key", "robot"))
	c.Apply(tokenSecret("second", "robot"))
	c.Apply("apiVersion: v1\nkind: Secret\nmetadata: {namespace: default, name: plain, annotations: {kubernetes.io/service-account.name: robot}}\n")
	filled(c, "key")
	filled(c, "second")
	c.Apply(tokenSecret("nobodys", "nobody"))
	goneSecret(c, "nobodys")
	// The Secret is deleted: its account does not name it any more.
	if err := registry.For[*corev1.Secret](c.Registry).Delete(c.Context, "default", "key", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		a, ok := controllertest.Get[*corev1.ServiceAccount](c, "default", "robot")
		if !ok || !slices.Equal(a.Secrets, []corev1.ObjectReference{{Name: "other"}}) {
			return fmt.Sprintf("the account to name one secret, it names %v", a.Secrets)
		}
		return ""
	}, core.ServiceAccount)
	// The account is deleted and another one of its name created at once: the tokens are those of the old one.
	if err := registry.For[*corev1.ServiceAccount](c.Registry).Delete(c.Context, "default", "robot", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Apply(robot)
	goneSecret(c, "second")
	if _, ok := controllertest.Get[*corev1.Secret](c, "default", "plain"); !ok {
		t.Error("a Secret of another type is gone too")
	}
	c.Apply(tokenSecret("second", "robot"))
	filled(c, "second")
}

func TestImmutableAccountTokenIsTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		log := &controllertest.LogBuffer{}
		c := controllertest.Start(t, func(cfg *controllers.Config) {
			cfg.ServiceAccountKey, cfg.Log = key, slog.New(slog.NewTextHandler(log, nil))
		})
		c.Ready()
		c.Apply(robot)
		c.Apply(tokenSecret("stiff", "robot") + "immutable: true\n")
		time.Sleep(time.Hour)
		if s, ok := controllertest.Get[*corev1.Secret](c, "default", "stiff"); !ok || len(s.Data) != 0 {
			t.Errorf("the immutable Secret: %v %v", ok, s.Data)
		}
		if n, failed := len(log.Lines("reconcile gave up", "stiff")), log.Lines("reconcile failed"); n != 1 || len(failed) != 0 {
			t.Errorf("%d lines of giving up, want 1; failures: %s", n, failed)
		}
	})
}
