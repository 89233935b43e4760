package certificates_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/controllers"
	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/schema/certificates"
)

// reviews is a gateway that answers whether a user may create a subresource ("system:bootstrap:a nodeclient").
type reviews struct {
	controller.Gateway
	allowed atomic.Pointer[string]
}

func (g *reviews) PostPath(_ context.Context, path string, body []byte) ([]byte, error) {
	var r authorizationv1.SubjectAccessReview
	if err := json.Unmarshal(body, &r); err != nil || path != "/apis/authorization.k8s.io/v1/subjectaccessreviews" {
		return nil, errors.New("no review")
	}
	a := r.Spec.ResourceAttributes
	if p := g.allowed.Load(); p != nil && a.Verb == "create" && a.Group == "certificates.k8s.io" && a.Resource == "certificatesigningrequests" {
		r.Status.Allowed = r.Spec.User+" "+a.Subresource == *p
	}
	return json.Marshal(r)
}

// withoutKey is an authority whose key is absent.
type withoutKey struct{}

func (withoutKey) CanSign() bool                          { return false }
func (withoutKey) KeyFile() string                        { return "/pki/ca.key" }
func (withoutKey) NotAfter() time.Time                    { return time.Time{} }
func (withoutKey) Sign(*x509.Certificate) ([]byte, error) { return nil, errors.New("there is no key") }

// request is a kubelet's request by a user.
func request(c *controllertest.Cluster, name, user string) {
	c.T.Helper()
	r, _ := newRequest(c.T, name, certificatesv1.KubeAPIServerClientKubeletSignerName,
		pkix.Name{CommonName: "system:node:" + name, Organization: []string{"system:nodes"}}, nil, "digital signature", "client auth")
	ctx := registry.WithUser(c.Context, &authenticationv1.UserInfo{Username: user})
	if _, err := c.Registry.Create(ctx, certificates.CertificateSigningRequest, r, registry.WriteOptions{}); err != nil {
		c.T.Fatal(err)
	}
}

// A request that nobody may have approved waits for the permission, and is deleted after a day without one.
func TestRequestsWaitForPermission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gateway := &reviews{}
		c := controllertest.Start(t, func(cfg *controllers.Config) {
			cfg.Gateway, cfg.Authorities.All = gateway, withoutKey{}
			cfg.Controllers = []string{"namespace", "serviceaccount", "csrapproving", "csrsigning", "csrcleaner"} // a day of all takes long
		})
		c.Ready()
		request(c, "n1", "system:bootstrap:abcdef")
		request(c, "n2", "system:node:n2")
		request(c, "n3", "somebody")
		decided := func(name string) string {
			r, ok := controllertest.Get[*certificatesv1.CertificateSigningRequest](c, "", name)
			switch {
			case !ok:
				return "gone"
			case len(r.Status.Conditions) == 0:
				return "pending"
			}
			return r.Status.Conditions[0].Message
		}
		expect := func(name, want string) {
			t.Helper()
			if got := decided(name); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
		time.Sleep(time.Hour)
		expect("n1", "pending")
		for allowed, name := range map[string]string{"system:bootstrap:abcdef nodeclient": "n1", "system:node:n2 selfnodeclient": "n2", "somebody selfnodeclient": "n3"} {
			gateway.allowed.Store(&allowed)
			time.Sleep(17 * time.Minute) // the longest pause between two reviews is 1000 s
			if want := map[string]string{
				"n1": "Auto approving kubelet client certificate after SubjectAccessReview.",
				"n2": "Auto approving self kubelet client certificate after SubjectAccessReview.",
				"n3": "pending", // it is not its own
			}[name]; decided(name) != want {
				t.Errorf("%s: %s, want %s", name, decided(name), want)
			}
		}
		// Nobody signs it: an Event says why.
		if said := c.Events("n1"); !strings.Contains(strings.Join(said, ","), "csrsigning-controller SigningKeyMissing") {
			t.Errorf("of n1 is said %q", said)
		}
		for _, ev := range controllertest.List[*corev1.Event](c, "", "") {
			if ev.Reason == "SigningKeyMissing" && !strings.Contains(ev.Message, "/pki/ca.key is absent") {
				t.Errorf("the event says %q", ev.Message)
			}
		}
		time.Sleep(22*time.Hour - 10*time.Minute) // about 23 h 40 min after the creation
		expect("n3", "pending")
		time.Sleep(time.Hour)
		expect("n3", "gone")
		time.Sleep(2 * time.Hour)
		expect("n1", "gone") // a day after its approval
	})
}
