package admit_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/schema"
	"gantry/schema/certificates"
)

// TestSignersDecide has users whose names are what they may do: "approve:example.com/a" approves requests of that signer. One named "broken" is of
// an authorizer that cannot decide.
func TestSignersDecide(t *testing.T) {
	r, _ := registrytest.New(t)
	may := authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		if a.GetUser().GetName() == "broken" {
			return authorizer.DecisionAllow, "", errors.New("no answer")
		}
		if a.GetAPIGroup() == "certificates.k8s.io" && a.GetResource() == "signers" && a.IsResourceRequest() && a.GetVerb()+":"+a.GetName() == a.GetUser().GetName() {
			return authorizer.DecisionAllow, "", nil
		}
		return authorizer.DecisionNoOpinion, "", nil
	})
	as := func(user string) context.Context {
		ctx := registry.WithAuthorizer(t.Context(), may)
		return registry.WithUser(ctx, &authenticationv1.UserInfo{Username: user})
	}
	if _, err := r.Create(as("ann"), certificates.CertificateSigningRequest, csr(t, plainRequest, "example.com/a"), registry.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	// decide adds a condition by a subresource, and is a dry run: the request stays as it is.
	decide := func(ctx context.Context, part, condition string) error {
		_, err := r.Modify(ctx, certificates.CertificateSigningRequest, "", "r", func(obj schema.Object) (schema.Object, error) {
			q := obj.(*certificatesv1.CertificateSigningRequest)
			q.Spec.SignerName = "example.org/b" // is not taken
			if condition != "" {
				q.Status.Conditions = append(q.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{Type: certificatesv1.RequestConditionType(condition), Status: "True"})
			}
			return q, nil
		}, registry.WriteOptions{Subresource: part, DryRun: true})
		return err
	}
	const approve, sign = `forbidden: user not permitted to approve requests with signerName "example.com/a"`, `forbidden: user not permitted to sign requests with signerName "example.com/a"`
	for _, tt := range []struct{ user, part, condition, refused string }{
		{"approve:example.com/a", "approval", "Approved", ""},
		{"approve:example.com/*", "approval", "Denied", ""},
		{"approve:example.com/b", "approval", "Approved", approve},
		{"approve:example.org/b", "approval", "Approved", approve},
		{"approve:*", "approval", "Approved", approve},
		{"sign:example.com/a", "approval", "Approved", approve},
		{"broken", "approval", "Approved", approve},
		{"sign:example.com/a", "status", "Failed", ""},
		{"sign:example.com/*", "status", "Failed", ""},
		{"approve:example.com/a", "status", "Failed", sign},
		{"ann", "status", "Other", sign},
		{"ann", "status", "", ""},
	} {
		err := decide(as(tt.user), tt.part, tt.condition)
		if (err == nil) != (tt.refused == "") || err != nil && !(errors.Is(err, registry.Forbidden) && strings.Contains(err.Error(), tt.refused)) {
			t.Errorf("%s adds %s to %s: %v, want %q", tt.user, tt.condition, tt.part, err, tt.refused)
		}
	}
	if err := decide(t.Context(), "approval", "Approved"); err != nil {
		t.Errorf("an agent's own decision: %v", err)
	}
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{}, &x509.Certificate{}, public, key)
	if err != nil {
		t.Fatal(err)
	}
	for user, refused := range map[string]string{"ann": sign, "sign:example.com/a": ""} {
		_, err := r.Modify(as(user), certificates.CertificateSigningRequest, "", "r", func(obj schema.Object) (schema.Object, error) {
			obj.(*certificatesv1.CertificateSigningRequest).Status.Certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
			return obj, nil
		}, registry.WriteOptions{Subresource: "status", DryRun: true})
		if (err == nil) != (refused == "") || err != nil && !strings.Contains(err.Error(), refused) {
			t.Errorf("%s sets a certificate: %v, want %q", user, err, refused)
		}
	}
}
