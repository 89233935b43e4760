package admit_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/schema/certificates"
)

// The requests are signed; the second is of a subject of the group system:masters.
const (
	plainRequest   = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlHUE1FTUNBUUF3RURFT01Bd0dBMVVFQXhNRllXeHBZMlV3S2pBRkJnTXJaWEFESVFCR3FRemJVeXhtMk9XYgpXZnpRYkpmRmhTWXdIbUZFYUgrem9VdDlTcW1oNUtBQU1BVUdBeXRsY0FOQkFBaXJLTzJGbnB4SzAvVWhMOE5yCkRCM28vd2lYTEZ1MUhvaitpWXFXWDZjTHVHcVQ0NTJIUXNQejdPQWY0NENqZUhWT0I0cDZibUxlSGNOZXorUW0KZEFvPQotLS0tLUVORCBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K"
	mastersRequest = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlHb01Gd0NBUUF3S1RFWE1CVUdBMVVFQ2hNT2MzbHpkR1Z0T20xaGMzUmxjbk14RGpBTUJnTlZCQU1UQldGcwphV05sTUNvd0JRWURLMlZ3QXlFQXU5bVNXd0JrWmgyLzFmZ0NVTG9FM0JhbXBSSEhSS3ZxY2U1MGdXN3E5azZnCkFEQUZCZ01yWlhBRFFRRFlqUEx6MUppWmpFV3FOcmQ2U1VZZEhJT0NFdU5ZanJBN1VsU0F5TmYwOHVXb3o4cmsKZlo1Sk03akovSFA5NDc4aDFzRjVhWmh4bUxNTldrU1J0R1VQCi0tLS0tRU5EIENFUlRJRklDQVRFIFJFUVVFU1QtLS0tLQo="
)

func csr(t *testing.T, request, signer string) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(request)
	if err != nil {
		t.Fatal(err)
	}
	return &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Spec: certificatesv1.CertificateSigningRequestSpec{
		Request: text, SignerName: signer, Usages: []certificatesv1.KeyUsage{"client auth"}, Username: "system:admin", Groups: []string{"system:masters"},
	}}
}

func TestRequestsSayWhoMadeThem(t *testing.T) {
	r, _ := registrytest.New(t)
	alice := &authenticationv1.UserInfo{Username: "alice", UID: "7", Groups: []string{"dev"}, Extra: map[string]authenticationv1.ExtraValue{"a": {"b"}}}
	ctx := registry.WithUser(t.Context(), alice)
	it, err := r.Create(ctx, certificates.CertificateSigningRequest, csr(t, plainRequest, "kubernetes.io/kube-apiserver-client"), registry.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := csr(t, plainRequest, "kubernetes.io/kube-apiserver-client").Spec
	want.Username, want.UID, want.Groups, want.Extra = "alice", "7", []string{"dev"}, map[string]certificatesv1.ExtraValue{"a": {"b"}}
	if diff := cmp.Diff(want, it.Object().(*certificatesv1.CertificateSigningRequest).Spec); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	_, err = r.Create(ctx, certificates.CertificateSigningRequest, csr(t, mastersRequest, "kubernetes.io/kube-apiserver-client"), registry.WriteOptions{})
	if err == nil || !errors.Is(err, registry.Forbidden) || !strings.Contains(err.Error(), "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed") {
		t.Errorf("a request of system:masters: %v", err)
	}
}
