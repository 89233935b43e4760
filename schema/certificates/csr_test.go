package certificates

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema/internal/checktest"
)

func ptr[T any](v T) *T { return &v }

func block(kind string, data []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data})
}

// signed is a PEM request, signed by its key.
func signed(t *testing.T) []byte {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return block("CERTIFICATE REQUEST", der)
}

func requests(t *testing.T) func() *request {
	t.Helper()
	text := signed(t)
	return func() *request {
		return &request{Spec: certificatesv1.CertificateSigningRequestSpec{
			Request: text, SignerName: "example.com/signer", Usages: []certificatesv1.KeyUsage{"client auth"}, ExpirationSeconds: ptr(int32(600)),
		}}
	}
}

func approved(r *request) *request {
	r.Status.Conditions = append(r.Status.Conditions, condition{Type: "Approved", Status: "True", Reason: "ok"})
	return r
}

func TestErrors(t *testing.T) {
	base := requests(t)
	const supported = `: supported values: "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment", "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime", "server auth", "signing", "timestamping"`
	signer := func(name string) func(*request) { return func(r *request) { r.Spec.SignerName = name } }
	checktest.Create(t, CertificateSigningRequest, base, []checktest.Case[*request]{
		{Name: "good"},
		{Name: "no request", In: func(r *request) { r.Spec.Request = nil }, Want: []string{`spec.request: Invalid value: null: PEM block type must be CERTIFICATE REQUEST`}},
		{Name: "usages", In: func(r *request) { r.Spec.Usages = []certificatesv1.KeyUsage{"x", "any", "any"} },
			Want: []string{`spec.usages[0]: Unsupported value: "x"` + supported, `spec.usages[2]: Duplicate value: "any"`}},
		{Name: "no usages, a short time", In: func(r *request) { r.Spec.Usages, r.Spec.ExpirationSeconds = nil, ptr(int32(599)) },
			Want: []string{"spec.usages: Required value", "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 minutes)"}},
		{Name: "no signer", In: signer(""), Want: []string{"spec.signerName: Required value"}},
		{Name: "legacy signer", In: signer("kubernetes.io/legacy-unknown"),
			Want: []string{`spec.signerName: Invalid value: "kubernetes.io/legacy-unknown": the legacy signerName is not allowed via this API version`}},
		{Name: "signer without a path", In: signer("example.com"),
			Want: []string{`spec.signerName: Invalid value: "example.com": must be a fully qualified domain and path of the form 'example.com/signer-name'`}},
		{Name: "signer", In: signer("A/b-"), Want: []string{
			`spec.signerName: Invalid value: "A": validating label "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`,
			`spec.signerName: Invalid value: "A": should be a domain with at least two segments separated by dots`,
			`spec.signerName: Invalid value: "b-": validating label "b-": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
		}},
		{Name: "long signer", In: signer(strings.Repeat("a.", 127) + "a/" + strings.Repeat("b.", 160) + "b"),
			Want: []string{"spec.signerName: Too long: may not be more than 253 bytes", "spec.signerName: Too long: may not be more than 571 bytes"}},
		{Name: "conditions", In: func(r *request) {
			approved(r).Status.Conditions = append(r.Status.Conditions, condition{Type: "Denied", Status: "False"}, condition{Status: "x"}, condition{Type: "Denied"})
			r.Status.Certificate = []byte("x")
		}, Want: []string{
			`status.conditions[1].status: Unsupported value: "False": supported values: "True"`,
			`status.conditions: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive`,
			"status.conditions[2].type: Required value",
			`status.conditions[2].status: Unsupported value: "x": supported values: "False", "True", "Unknown"`,
			"status.conditions[3].status: Required value",
			`status.conditions: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive`,
			`status.conditions[3].type: Duplicate value: "Denied"`,
			`status.certificate: Invalid value: "<certificate data>": must contain at least one CERTIFICATE PEM block`,
		}},
	})
	forged := base()
	der, _ := pem.Decode(forged.Spec.Request)
	der.Bytes[len(der.Bytes)-1] ^= 1
	forged.Spec.Request = block("CERTIFICATE REQUEST", der.Bytes)
	if got := checktest.Texts(CertificateSigningRequest.Validate(forged)); len(got) != 1 || !strings.HasSuffix(got[0], ": x509: Ed25519 verification failure") {
		t.Errorf("a forged request: %q", got)
	}
}

func TestParts(t *testing.T) {
	base := requests(t)
	checktest.Update(t, CertificateSigningRequest, base, []checktest.Case[*request]{
		{Name: "decision and certificate", In: func(r *request) { approved(r).Status.Certificate = block("CERTIFICATE", nil) }, Want: []string{
			`status.certificate: Invalid value: "<certificate data>": found CERTIFICATE PEM block containing 0 certificates`,
			`status.conditions: Forbidden: updates may not add a condition of type "Approved"`,
			"status.certificate: Forbidden: updates may not set certificate content",
		}},
	})
	was := func() *request { return approved(base()) }
	checktest.Part(t, CertificateSigningRequest, "approval", was, []checktest.Case[*request]{
		{Name: "another reason", In: func(r *request) { r.Status.Conditions[0].Reason = "why not" }},
		{Name: "taken back", In: func(r *request) { r.Status.Conditions = nil }, Want: []string{`status.conditions: Forbidden: updates may not remove a condition of type "Approved"`}},
	})
	checktest.Part(t, CertificateSigningRequest, "status", was, []checktest.Case[*request]{
		{Name: "failure", In: func(r *request) {
			r.Status.Conditions = append(r.Status.Conditions, condition{Type: "Failed", Status: "True"})
		}},
		{Name: "another block", In: func(r *request) { r.Status.Certificate = block("X", nil) },
			Want: []string{`status.certificate: Invalid value: "<certificate data>": only CERTIFICATE PEM blocks are allowed, found "X"`}},
	})
	issued := func() *request {
		r := was()
		r.Status.Certificate = []byte("something of an earlier version")
		return r
	}
	checktest.Part(t, CertificateSigningRequest, "status", issued, []checktest.Case[*request]{
		{Name: "as it was"},
		{Name: "issued again", In: func(r *request) { r.Status.Certificate = []byte("y") }, Want: []string{"status.certificate: Forbidden: updates may not modify existing certificate content"}},
	})
}

func TestPreparation(t *testing.T) {
	old := approved(requests(t)())
	old.Spec.Username = "alice"
	old.Status.Conditions[0].LastTransitionTime = metav1.Unix(1000, 0)
	change := func() *request {
		r := old.DeepCopy()
		r.Spec.Username, r.Status.Certificate = "eve", []byte("x")
		r.Status.Conditions[0] = condition{Type: "Approved", Status: "True", Reason: "changed"}
		r.Status.Conditions = append(r.Status.Conditions, condition{Type: "Failed", Status: "True"})
		return r
	}
	describe := func(r *request) string {
		text := fmt.Sprintf("%s %q", r.Spec.Username, r.Status.Certificate)
		for _, c := range r.Status.Conditions {
			text += fmt.Sprintf(" %s:%s", c.Type, c.Reason)
		}
		return text
	}
	created, updated, decided, status := change(), change(), change(), change()
	CertificateSigningRequest.PrepareCreate(created)
	CertificateSigningRequest.PrepareUpdate(updated, old)
	CertificateSigningRequest.Subresource("approval").Prepare(decided, old)
	CertificateSigningRequest.Subresource("status").Prepare(status, old)
	for _, tt := range []struct {
		name, want string
		got        *request
	}{
		{"create", ` ""`, created},
		{"update", `alice "" Approved:ok`, updated},
		{"approval", `alice "" Approved:changed Failed:`, decided},
		{"status", `alice "x" Approved:ok Failed:`, status},
	} {
		if got := describe(tt.got); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if c := decided.Status.Conditions; !c[0].LastTransitionTime.Equal(&old.Status.Conditions[0].LastTransitionTime) || time.Since(c[1].LastTransitionTime.Time) > time.Minute || c[0].LastUpdateTime.IsZero() {
		t.Errorf("times of conditions: %+v", c)
	}
}

func TestRow(t *testing.T) {
	now := metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	r := &request{ObjectMeta: metav1.ObjectMeta{Name: "r", CreationTimestamp: now}}
	if diff := cmp.Diff([]any{"r", "0s", "<none>", "", "<none>", "Pending"}, CertificateSigningRequest.Row(r, now)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r.Spec = certificatesv1.CertificateSigningRequestSpec{SignerName: "a.b/c", Username: "alice", ExpirationSeconds: ptr(int32(7200))}
	approved(r).Status.Conditions = append(r.Status.Conditions, condition{Type: "Failed"})
	r.Status.Certificate = []byte("x")
	if diff := cmp.Diff([]any{"r", "0s", "a.b/c", "alice", "120m", "Approved,Failed,Issued"}, CertificateSigningRequest.Row(r, now)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
